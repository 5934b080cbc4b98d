"""Topics on Kafka: made with their replication, and compared with what they should be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from processor.adapters.kafka.clients import Admin, NewTopicSettings, TopicState
from processor.adapters.kafka.settings import REPLICATION
from processor.adapters.kafka.timing import Timing
from processor.engine.topics import Difference, TopicNames, TopicSpec, differences
from processor.errors import TopicsUnfit

MOST_REPLICAS = 3
# Room for a batch's and a record's own headers, beside key, value and the record's headers.
OVERHEAD_BYTES = 512
DEFAULT_MAX_BYTES = 1_048_588

READY_SECONDS = 15.0
READY_STEP_SECONDS = 0.05
READY_ANSWERS = 3
"""In a row, for each broker, that know the topics and their leaders."""


def create_topics(
    admin: Admin, specs: Sequence[TopicSpec], *, replication: int | None, timing: Timing
) -> Sequence[str]:
    """Create those that are missing, wait until they can be used, and return their names in the order of `specs`."""
    existing = admin.topics([spec.name for spec in specs]) if specs else {}
    missing = [spec for spec in specs if spec.name not in existing]
    if not missing:
        return ()
    copies = replication or min(MOST_REPLICAS, admin.brokers())
    wanted = [NewTopicSettings(spec.name, spec.partitions, copies, _config(spec, copies)) for spec in missing]
    created = set(admin.create(wanted))
    _wait_for_leaders(admin, [spec.name for spec in missing], timing)
    return [spec.name for spec in missing if spec.name in created]


def _wait_for_leaders(admin: Admin, names: Sequence[str], timing: Timing) -> None:
    # The controller answers before its brokers have heard of the topics, one after the other; and any of them is asked.
    brokers = admin.brokers()
    wanted, seen = (1 if brokers == 1 else READY_ANSWERS * brokers), 0
    deadline = timing.now() + READY_SECONDS
    while timing.now() < deadline:
        existing = admin.topics(names)
        seen = seen + 1 if all(name in existing and existing[name].led for name in names) else 0
        if seen >= wanted:
            return
        timing.sleep(READY_STEP_SECONDS)


def check_topics(admin: Admin, specs: Sequence[TopicSpec], *, replication: int | None) -> Iterator[Difference]:
    """Yield every setting that differs. Without a `replication` that is asked for, more than there need be are fine."""
    existing = admin.topics([spec.name for spec in specs]) if specs else {}
    copies = replication or (min(MOST_REPLICAS, admin.brokers()) if existing else 1)
    configs = admin.configs(existing) if existing else {}
    for spec in specs:
        state = existing.get(spec.name)
        if state is None:
            yield from differences(spec, partitions=None, config={})
            continue
        if state.replication < copies or (replication and state.replication != copies):
            told = {"expected": str(copies), "found": str(state.replication)}
            yield Difference(topic=spec.name, setting=REPLICATION, **told)
        wanted = TopicSpec(name=spec.name, partitions=spec.partitions, config=_config(spec, copies))
        yield from differences(wanted, partitions=state.partitions, config=configs[spec.name])


def at_work(admin: Admin, names: TopicNames) -> Iterator[str]:
    """Yield a line for each living member of a role's group, then for each partition with an open transaction."""
    # A broker leaves out of its list, and says nothing of it, what is not for whoever asks: so these are named.
    for group in sorted({*names.named_groups, *filter(names.is_group, admin.groups())}):
        for member in admin.members(group):
            yield f"{member.instance_id or member.client_id} of group {group} is alive"
    places = [(name, p) for name, topic in admin.topics(names.all).items() for p in range(topic.partitions)]
    if places:
        written, stable = admin.ends(places, committed=False), admin.ends(places, committed=True)
        for topic, partition in places:
            if stable[topic, partition] < written[topic, partition]:
                yield f"{topic}[{partition}] has a transaction that is open"


def require_topics(existing: Mapping[str, TopicState], names: TopicNames) -> None:
    """Raise TopicsUnfit where topics are missing, or where the counts of those that go together differ."""
    problems = [f"{name}: does not exist; asl topics create makes it" for name in names.all if name not in existing]
    counts = {name: existing[name].partitions for name in names.co_partitioned if name in existing}
    if len(set(counts.values())) > 1:
        problems += [f"{name}: has {n} partitions; all of these must have one count" for name, n in counts.items()]
    if problems:
        raise TopicsUnfit(problems)


def max_batch_bytes(admin: Admin, names: TopicNames) -> int:
    """Return what the strictest of the topics takes."""
    configs = admin.configs(names.all)
    return min(int(config.get("max.message.bytes") or DEFAULT_MAX_BYTES) for config in configs.values())


def _config(spec: TopicSpec, copies: int) -> dict[str, str]:
    return {"min.insync.replicas": str(max(1, copies - 1)), **spec.config}
