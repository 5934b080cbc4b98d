"""What a role may do with the topics it uses, asked for when it starts: a missing right is told then, by its name.

A broker answers DescribeTopics with the operations that its ACLs allow the client (KIP-430); one without an authorizer
allows all of them. Groups and transactional ids are refused when they are used, docs/security.md has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from processor.adapters.kafka.clients import TopicState
from processor.engine.topics import TopicNames
from processor.errors import NotAuthorized

READ: Final = frozenset(("READ",))
WRITE: Final = frozenset(("WRITE",))


def of_processor(names: TopicNames) -> dict[str, frozenset[str]]:
    """What the transactions of a processor may touch, and what it restores from."""
    return {
        names.commands: READ,
        names.definitions: READ,
        names.events: READ | WRITE,
        names.snapshots: READ | WRITE,
        names.closed: READ | WRITE,
        names.timers: WRITE,
        names.tasks: WRITE,
        names.replies: WRITE,
        names.rejections: WRITE,
        names.dead_letters: WRITE,
    }


def require(role: str, existing: Mapping[str, TopicState], needed: Mapping[str, frozenset[str]]) -> None:
    """Raise NotAuthorized with every right that `role` lacks on topics that exist."""
    lacking = [
        f"{operation} on topic {topic}"
        for topic, operations in needed.items()
        if topic in existing and (allowed := existing[topic].allowed) is not None
        for operation in sorted(operations - allowed)
    ]
    if lacking:
        raise NotAuthorized(role=role, reason=f"it lacks {', '.join(lacking)}")
