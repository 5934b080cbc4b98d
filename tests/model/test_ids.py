"""Names of executions, tokens and timers: what is made is read back, anything else is refused."""

from __future__ import annotations

import pytest

from processor import InvalidCommand
from processor.model.ids import (
    MAX_POSITION_LENGTH,
    TIMER_KINDS,
    batch_key,
    is_name,
    parse_execution_id,
    parse_numbered_key,
    parse_scope,
    parse_task_token,
    parse_timer_id,
    render_scope,
    snapshot_key,
    task_token,
    timer_id,
)

SCOPES = [(), (0,), (12, 1), (0, 0, 300)]


@pytest.mark.parametrize("scope", SCOPES)
def test_tokens_and_timers_are_read_back(scope: tuple[int, ...]) -> None:
    assert parse_scope(render_scope(scope)) == scope
    assert parse_task_token(task_token("m:n", scope, 7)) == ("m:n", scope, 7)
    for kind in TIMER_KINDS:
        assert parse_timer_id(timer_id("m/l:n", scope, 7, kind)) == ("m/l:n", scope, 7, kind)


def test_how_they_read() -> None:
    assert task_token("orders:42", (12, 1), 7) == "orders:42#12.1#7"
    assert timer_id("orders:42", (), 3, "wait") == "orders:42##3#wait"
    assert batch_key("orders:42", 3) == "orders:42#3"


@pytest.mark.parametrize(
    "token", ["", "m:n", "m:n#7", "m:n##x", "m:n##-1", "m:n##²", "m:n#1.#7", "m:n#a#7", "m:n##7#8"]
)
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(InvalidCommand, match="token: must be <execution id>#<scope>#<sequence>"):
        parse_task_token(token)


@pytest.mark.parametrize("timer", ["", "m:n##7", "m:n##7#never", "m:n##x#wait", "m:n#.#7#wait", "m:n##7#wait#"])
def test_what_is_no_timer_is_refused(timer: str) -> None:
    with pytest.raises(InvalidCommand, match="timer_id: must be"):
        parse_timer_id(timer)


def test_tokens_and_timers_of_more_characters_than_any_has_are_refused() -> None:
    longest = "m:n#" + "1." * ((MAX_POSITION_LENGTH - 8) // 2) + "11#7"
    assert len(longest) == MAX_POSITION_LENGTH
    assert parse_task_token(longest)[::2] == ("m:n", 7)
    with pytest.raises(InvalidCommand, match="token: must have at most 4096 characters, got '4097 of them'"):
        parse_task_token(longest + "7")
    with pytest.raises(InvalidCommand, match="timer_id: must have at most 4096 characters, got '4101 of them'"):
        parse_timer_id(longest + "#wait")


@pytest.mark.parametrize("id", ["m:n", "orders:2024-11-23_1", "m/label:n", "m.x:n()", "ü:日本"])
def test_execution_ids_that_aws_takes(id: str) -> None:
    machine, name = parse_execution_id(id)
    assert f"{machine}:{name}" == id


@pytest.mark.parametrize(
    "id",
    ["", "m", ":n", "m:", "m:n:o", "a/b/c:n", "m/:n", "a b:n", "m:" + "x" * 81, "m#:n", "m:\x7f", "m:\ud800", "m:*"],
)
def test_execution_ids_that_aws_refuses(id: str) -> None:
    with pytest.raises(InvalidCommand, match="execution_id: must be <state machine>:<name>"):
        parse_execution_id(id)


def test_names_have_one_to_eighty_characters() -> None:
    assert [is_name("x" * length) for length in (0, 1, 80, 81)] == [False, True, True, False]


def test_the_keys_of_batches_and_of_chunks_give_back_what_they_are_made_of() -> None:
    assert parse_numbered_key(batch_key("orders:42", 3)) == ("orders:42", 3)
    assert parse_numbered_key(snapshot_key("orders:42", 12)) == ("orders:42", 12)
    assert [parse_numbered_key(key) for key in ("#checkpoint", "orders:42", "orders:42#x", "orders:42#²", "")] == [
        None
    ] * 5
