"""A history: what two members can tell about each other from a place in it."""

from hashlib import blake2b
from struct import pack

import pytest

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
    for count in range(32_768 + 10):
        ours.note(ONE, count)
    assert ours.holds(ours.point) is True
    assert ours.point_at(10) is None
    assert ours.point_at(11) is not None
    assert ours.holds(Point(10, b"x" * history_module.DIGEST_BYTES)) is False


def test_nothing_is_known_before_the_first_agreement() -> None:
    ours = History()
    assert (ours.era, ours.position, ours.is_open) == (0, 0, False)
    assert ours.holds(history().point) is None
    assert ours.point_at(0) is None


def test_a_point_is_the_16_byte_digest_of_the_agreement_and_of_each_message_after_it() -> None:
    digest = blake2b(b"epoch", digest_size=16).digest()
    assert history().point == Point(0, digest)
    digest = blake2b(digest + pack("<IIQ", 1, 11, 7), digest_size=16).digest()
    digest = blake2b(digest + pack("<IIQ", 2, 22, 2**40), digest_size=16).digest()
    assert history((ONE, 7), (TWO, 2**40)).point == Point(2, digest)


def test_a_new_era_forgets_what_was_noted_and_not_yet_looked_at() -> None:
    ours = history((ONE, 1), (TWO, 1))
    ours.begin(b"next", is_replaced=False)
    ours.note(ONE, 2)
    assert ours.point == history((ONE, 2), agreement=b"next").point


def test_no_point_of_the_era_before_is_found_in_the_next_one() -> None:
    ours = history((ONE, 1), (TWO, 1))
    assert ours.point_at(1) is not None
    ours.begin(b"next", is_replaced=False)
    assert ours.point_at(-1) is None
    assert ours.point_at(0) == history(agreement=b"next").point


def test_digests_are_made_without_being_asked_for_once_1024_messages_were_noted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = []

    def counted(link: bytes, *, digest_size: int) -> object:
        made.append(link)
        return blake2b(link, digest_size=digest_size)

    ours = history()
    monkeypatch.setattr(history_module, "blake2b", counted)
    for count in range(1023):
        ours.note(ONE, count)
    assert len(made) == 0
    ours.note(ONE, 1023)
    assert len(made) == 1024
    assert ours.position == 1024
    for count in range(1023):
        ours.note(ONE, count)
    assert len(made) == 1024
