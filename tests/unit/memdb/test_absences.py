"""What a member that was away cannot have seen."""

from pmxcfs.identity import NodeId
from pmxcfs.memdb.absences import Absences

ONE, TWO, THREE, FOUR = (NodeId(number) for number in (1, 2, 3, 4))


def in_sync(*nodes: NodeId, version: int = 10) -> Absences:
    absences = Absences()
    absences.note_members(frozenset(nodes), version, is_half=True)
    absences.note_agreement(frozenset(nodes), version)
    return absences


def test_who_is_with_us_has_seen_everything() -> None:
    assert in_sync(ONE, TWO, THREE).unseen_since(TWO) is None


def test_who_went_has_not_seen_what_came_then_even_when_it_is_back() -> None:
    absences = in_sync(ONE, TWO, THREE)
    absences.note_members(frozenset({ONE, TWO}), 15, is_half=True)
    absences.note_members(frozenset({ONE, TWO, THREE}), 20, is_half=True)
    assert absences.unseen_since(THREE) == 16
    assert absences.unseen_since(TWO) is None


def test_who_comes_and_goes_before_it_is_in_sync_has_seen_nothing_more() -> None:
    absences = in_sync(ONE, TWO, THREE)
    for nodes, version in [({ONE, TWO}, 15), ({ONE, TWO, THREE}, 17), ({ONE, TWO}, 17)]:
        absences.note_members(frozenset(nodes), version, is_half=True)
    assert absences.unseen_since(THREE) == 16


def test_who_is_in_sync_again_has_seen_everything() -> None:
    absences = in_sync(ONE, TWO, THREE)
    absences.note_members(frozenset({ONE, TWO}), 15, is_half=True)
    absences.note_members(frozenset({ONE, TWO, THREE}), 20, is_half=True)
    absences.note_agreement(frozenset({ONE, TWO, THREE}), 20)
    assert absences.unseen_since(THREE) is None


def test_who_was_never_here_has_seen_nothing_since_the_majority_came_together() -> None:
    absences = in_sync(ONE, TWO)
    absences.note_agreement(frozenset({ONE, TWO}), 14)
    assert absences.unseen_since(THREE) == 11


def test_with_less_than_half_of_the_cluster_who_went_may_have_told_others() -> None:
    absences = in_sync(ONE, TWO)
    absences.note_members(frozenset({ONE}), 12, is_half=False)
    assert absences.unseen_since(THREE) is None
    absences.note_members(frozenset({ONE, TWO, THREE}), 12, is_half=True)
    assert absences.unseen_since(THREE) is None
    absences.note_agreement(frozenset({ONE, TWO, THREE}), 30)
    assert absences.unseen_since(FOUR) == 31


def test_who_lost_the_group_knows_nothing_of_others() -> None:
    absences = in_sync(ONE, TWO, THREE)
    absences.note_members(frozenset({ONE, TWO}), 15, is_half=True)
    absences.forget()
    assert absences.unseen_since(THREE) is None


def test_who_went_before_the_group_was_lost_counts_from_when_a_majority_came_together_again() -> (
    None
):
    absences = in_sync(ONE, TWO, THREE)
    absences.note_members(frozenset({ONE, TWO}), 15, is_half=True)
    absences.forget()
    absences.note_agreement(frozenset({ONE, TWO}), 30)
    assert absences.unseen_since(THREE) == 31


def test_who_goes_a_second_time_counts_from_then() -> None:
    absences = in_sync(ONE, TWO, THREE)
    absences.note_members(frozenset({ONE, TWO}), 15, is_half=True)
    absences.note_agreement(frozenset({ONE, TWO, THREE}), 20)
    absences.note_members(frozenset({ONE, TWO}), 25, is_half=True)
    assert absences.unseen_since(THREE) == 26
