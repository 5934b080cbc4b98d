"""Who has which partition, over any coming and going of members."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from processor.adapters.embedded.groups import Owner, Step, balance, next_step, slot_order

slots = st.sets(st.sampled_from(["0", "1", "2", "10", "a", "b"]), min_size=1)
counts = st.integers(min_value=1, max_value=12)


def test_partitions_are_dealt_out_in_slot_order() -> None:
    assert balance(["10", "2"], {}, partitions=5) == {0: "2", 1: "2", 2: "2", 3: "10", 4: "10"}


def test_a_new_member_takes_from_those_who_have_too_much() -> None:
    assert balance(["0", "1"], {0: "0", 1: "0", 2: "0", 3: "0"}, partitions=4) == {0: "0", 1: "0", 2: "1", 3: "1"}


def test_who_holds_the_odd_partition_keeps_it() -> None:
    assert balance(["0", "1"], {0: "0", 1: "1", 2: "1"}, partitions=3) == {0: "0", 1: "1", 2: "1"}


def test_a_partition_of_ones_own_former_incarnation_is_taken_at_once() -> None:
    owners = {0: Owner("0", "old"), 1: Owner("1", "other")}

    step = next_step({"0": "new", "1": "other"}, owners, me="0", partitions=2)

    assert step == Step(taken=(0,))


def test_a_partition_owned_by_another_is_not_taken_before_it_is_given_up() -> None:
    owners = {0: Owner("0", "x"), 1: Owner("0", "x")}
    members = {"0": "x", "1": "y"}

    assert next_step(members, owners, me="1", partitions=2) == Step()
    assert next_step(members, owners, me="0", partitions=2) == Step(released=(1,))
    assert next_step(members, {0: Owner("0", "x")}, me="1", partitions=2) == Step(taken=(1,))


@given(members=slots, held=st.dictionaries(st.integers(0, 11), st.sampled_from(["0", "1", "2", "gone"])), count=counts)
def test_every_partition_has_one_member_and_shares_differ_by_one_at_most(
    members: set[str], held: dict[int, str], count: int
) -> None:
    target = balance(members, held, partitions=count)

    shares = [list(target.values()).count(member) for member in members]
    assert sorted(target) == list(range(count))
    assert set(target.values()) <= members
    assert max(shares) - min(shares) <= 1
    # Balanced already: nothing moves.
    assert balance(members, target, partitions=count) == target


@given(
    changes=st.lists(slots, min_size=1, max_size=4),
    count=counts,
    order=st.randoms(use_true_random=False),
)
def test_steps_in_any_order_come_to_a_balance_without_a_partition_ever_having_two_owners(
    changes: list[set[str]], count: int, order: object
) -> None:
    owners: dict[int, Owner] = {}
    for members in changes:
        living = {member: member for member in members}
        owners = {p: owner for p, owner in owners.items() if owner.member in living}
        for _ in range(3):
            turn = sorted(members, key=slot_order)
            order.shuffle(turn)  # type: ignore[attr-defined]  # Hypothesis's Random
            for member in turn:
                step = next_step(living, owners, me=member, partitions=count)
                assert all(owners[p].member == member for p in step.released)
                for partition in step.released:
                    del owners[partition]
                assert not owners.keys() & step.taken
                owners |= {p: Owner(member, member) for p in step.taken}
        shares = [sum(owner.member == member for owner in owners.values()) for member in members]
        assert sorted(owners) == list(range(count))
        assert max(shares) - min(shares) <= 1
