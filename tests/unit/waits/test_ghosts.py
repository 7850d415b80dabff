"""A member that is silent and whose node is not in the ring does not exist."""

import pytest
from structlog.testing import capture_logs

from pmxcfs.identity import Member, NodeId, Pid
from pmxcfs.waits.ghosts import SILENCE_S_MAX, Ghosts

ME, OTHER, GHOST = (Member(NodeId(number), Pid(number * 10)) for number in (1, 2, 3))
ALL = (ME, OTHER, GHOST)


def haunted() -> Ghosts:
    ghosts = Ghosts("dcdb")
    ghosts.learn_ring([NodeId(1), NodeId(2)])
    assert ghosts.living(ALL) == ALL
    return ghosts


def test_a_silent_member_outside_the_ring_is_a_ghost_after_the_bound() -> None:
    ghosts = haunted()
    assert ghosts.pass_time(SILENCE_S_MAX - 1, ME) == frozenset()
    assert ghosts.living(ALL) == ALL
    assert ghosts.pass_time(1, ME) == {GHOST}
    assert ghosts.pass_time(60, ME) == frozenset()
    assert GHOST in ghosts
    assert ghosts.living(ALL) == (ME, OTHER)


def test_a_hanging_member_in_the_ring_is_none() -> None:
    ghosts = haunted()
    ghosts.learn_ring([NodeId(1), NodeId(2), NodeId(3)])
    assert ghosts.pass_time(10 * SILENCE_S_MAX, ME) == frozenset()


def test_who_was_in_the_ring_in_between_starts_anew() -> None:
    ghosts = haunted()
    ghosts.pass_time(SILENCE_S_MAX - 1, ME)
    ghosts.learn_ring([NodeId(1), NodeId(2), NodeId(3)])
    ghosts.pass_time(1, ME)
    ghosts.learn_ring([NodeId(1), NodeId(2)])
    assert ghosts.pass_time(SILENCE_S_MAX - 1, ME) == frozenset()


def test_who_speaks_is_none() -> None:
    ghosts = haunted()
    ghosts.hear(GHOST)
    assert ghosts.pass_time(SILENCE_S_MAX, ME) == frozenset()
    assert ghosts.living(ALL) == ALL


def test_a_ghost_that_speaks_was_none() -> None:
    ghosts = haunted()
    ghosts.pass_time(SILENCE_S_MAX, ME)
    ghosts.hear(GHOST)
    assert GHOST not in ghosts


def test_a_ghost_that_is_no_longer_listed_is_forgotten() -> None:
    ghosts = haunted()
    ghosts.pass_time(SILENCE_S_MAX, ME)
    assert ghosts.living((ME, OTHER)) == (ME, OTHER)
    assert ghosts.living(ALL) == ALL


def test_who_comes_back_after_it_was_gone_starts_anew() -> None:
    ghosts = haunted()
    ghosts.pass_time(SILENCE_S_MAX - 1, ME)
    ghosts.living((ME, OTHER))
    ghosts.living(ALL)
    assert ghosts.pass_time(SILENCE_S_MAX - 1, ME) == frozenset()


def test_the_log_names_the_ghosts_and_the_ring_once_and_in_order() -> None:
    ghosts, ring = Ghosts("dcdb"), [NodeId(9), NodeId(1)]
    members = tuple(Member(NodeId(number), Pid(number * 10)) for number in range(1, 9))
    ghosts.learn_ring(ring)
    ghosts.living(members)
    with capture_logs() as lines:
        ghosts.pass_time(SILENCE_S_MAX, ME)
        ghosts.pass_time(SILENCE_S_MAX, ME)
    (line,) = lines
    assert (line["log_level"], line["ring"]) == ("warning", [1, 9])
    assert line["members"] == [f"node {number}, pid {number}0" for number in range(2, 9)]
    assert line["event"].startswith("members of the group do not exist")


@pytest.mark.parametrize("ring", [[], [2]])
def test_a_ring_without_us_tells_nothing(ring: list[int]) -> None:
    ghosts = haunted()
    ghosts.learn_ring(map(NodeId, ring))
    assert ghosts.pass_time(SILENCE_S_MAX, ME) == frozenset()


def test_nobody_is_a_ghost_while_we_are_not_connected() -> None:
    assert haunted().pass_time(SILENCE_S_MAX, None) == frozenset()


def test_a_silence_counts_over_several_configurations() -> None:
    ghosts = haunted()
    ghosts.pass_time(SILENCE_S_MAX - 1, ME)
    ghosts.living((ME, GHOST))
    assert ghosts.pass_time(1, ME) == {GHOST}
