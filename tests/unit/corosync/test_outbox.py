"""The outbox keeps the order and the limits."""

from hypothesis import given
from hypothesis import strategies as st

from pmxcfs.corosync.outbox import Outbox


def filled(*messages: bytes, messages_max: int = 128, bytes_max: int = 1 << 20) -> Outbox:
    outbox = Outbox(messages_max, bytes_max)
    for data in messages:
        outbox.put(data)
    return outbox


def start_all(outbox: Outbox) -> list[bytes]:
    started = []
    while len(outbox) and outbox.has_room:
        started.append(outbox.start())
    return started


def test_messages_go_in_the_order_they_came() -> None:
    assert start_all(filled(b"1", b"2", b"3")) == [b"1", b"2", b"3"]


def test_no_more_than_so_many_are_under_way() -> None:
    outbox = filled(b"1", b"2", b"3", messages_max=2)
    assert start_all(outbox) == [b"1", b"2"]
    outbox.note_delivered()
    assert start_all(outbox) == [b"3"]


def test_no_more_than_so_many_bytes_are_under_way() -> None:
    outbox = filled(b"aaaa", b"bbbb", b"cccc", bytes_max=8)
    assert start_all(outbox) == [b"aaaa", b"bbbb"]
    outbox.note_delivered()
    assert start_all(outbox) == [b"cccc"]


def test_a_message_of_any_size_goes_when_nothing_else_is_under_way() -> None:
    outbox = filled(b"a", b"b" * 100, bytes_max=8)
    assert start_all(outbox) == [b"a"]
    outbox.note_delivered()
    assert start_all(outbox) == [b"b" * 100]


def test_a_message_that_did_not_get_away_is_the_next_again() -> None:
    outbox = filled(b"1", b"2")
    outbox.undo_start(outbox.start())
    assert start_all(outbox) == [b"1", b"2"]


def test_what_waits_can_be_taken_back_but_not_what_is_under_way() -> None:
    outbox = filled(b"1", b"2", b"3", messages_max=1)
    outbox.start()
    assert outbox.take_back() == [b"2", b"3"]
    outbox.put(b"4")
    assert not outbox.has_room


def test_after_a_lost_connection_nothing_is_under_way() -> None:
    outbox = filled(b"1", b"2", messages_max=1)
    outbox.start()
    outbox.forget_under_way()
    assert start_all(outbox) == [b"2"]


@given(st.lists(st.sampled_from(["put", "start", "undo", "deliver"])))
def test_the_limits_hold_after_any_history(history: list[str]) -> None:
    outbox = Outbox(messages_max=3, bytes_max=10)
    under_way: list[bytes] = []
    for number, step in enumerate(history):
        if step == "put":
            outbox.put(b"x" * (number % 7))
        elif step == "start" and len(outbox) and outbox.has_room:
            under_way.append(outbox.start())
        elif step == "undo" and under_way:
            outbox.undo_start(under_way.pop())
        elif step == "deliver" and under_way:
            under_way.pop(0)
            outbox.note_delivered()
        assert len(under_way) <= 3
        assert sum(map(len, under_way)) <= 10
