"""A history: what two members can tell about each other from a place in it."""

from pmxcfs.dfsm import history as history_module
from pmxcfs.dfsm.history import History, Point
from pmxcfs.identity import Member, NodeId, Pid

ONE, TWO = Member(NodeId(1), Pid(11)), Member(NodeId(2), Pid(22))


def history(*messages: tuple[Member, int], agreement: bytes = b"epoch") -> History:
    made = History()
    made.begin(agreement, is_replaced=False)
    for sender, count in messages:
        made.note(sender, count)
    return made


def test_equal_messages_after_an_equal_agreement_lead_to_the_same_point() -> None:
    ours, theirs = history((ONE, 1), (TWO, 1)), history((ONE, 1), (TWO, 1))
    assert ours.point == theirs.point
    assert ours.holds(theirs.point) is True


def test_as_many_other_messages_lead_to_another_point() -> None:
    ours = history((ONE, 1), (TWO, 1))
    for other in (
        history((TWO, 1), (ONE, 1)),
        history((ONE, 1), (TWO, 2)),
        history((ONE, 1), (Member(NodeId(2), Pid(23)), 1)),
        history((TWO, 0), (TWO, 1)),
        history((ONE, 1), (TWO, 1), agreement=b"another"),
    ):
        assert other.position == ours.position
        assert ours.holds(other.point) is False


def test_what_lies_ahead_cannot_be_told_until_it_is_reached() -> None:
    ours, ahead = history((ONE, 1)), history((ONE, 1), (TWO, 1))
    assert ours.holds(ahead.point) is None
    ours.note(TWO, 1)
    assert ours.holds(ahead.point) is True


def test_what_lies_behind_is_known() -> None:
    ours, behind = history((ONE, 1), (TWO, 1), (ONE, 2)), history((ONE, 1))
    assert ours.holds(behind.point) is True
    assert ours.point_at(1) == behind.point
    assert ours.point_at(0) == history().point
    assert ours.point_at(4) is None
    assert ours.point_at(-1) is None


def test_a_new_era_begins_at_nothing() -> None:
    ours = history((ONE, 1))
    before = ours.point
    ours.begin(b"next", is_replaced=False)
    assert (ours.era, ours.position, ours.replacements) == (2, 0, 0)
    assert ours.holds(before) is None
    assert ours.point_at(1) is None


def test_a_replaced_tree_is_counted() -> None:
    ours = history()
    ours.begin(b"next", is_replaced=True)
    assert ours.replacements == 1


def test_between_eras_nothing_is_known() -> None:
    ours = history((ONE, 1))
    point = ours.point
    ours.end()
    assert ours.holds(point) is None
    assert ours.point_at(1) is None


def test_only_the_last_points_are_remembered() -> None:
    ours = history()
    for count in range(history_module.POINTS_MAX + 10):
        ours.note(ONE, count)
    assert ours.holds(ours.point) is True
    assert ours.point_at(10) is None
    assert ours.point_at(11) is not None
    assert ours.holds(Point(10, b"x" * history_module.DIGEST_BYTES)) is False
