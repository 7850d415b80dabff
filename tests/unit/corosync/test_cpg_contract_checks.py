"""The checks of the group contract accept what corosync does and refuse what it must never do."""

import re

import pytest

from pmxcfs.dfsm.events import ConfigurationChange, Delivered
from pmxcfs.identity import Member, NodeId, Pid
from tests.contract.cpg_contract import Event, check_contract

A, B, C = (Member(NodeId(number), Pid(100 + number)) for number in (1, 2, 3))
SENT = {A: [b"a1", b"a2", b"a3"], B: [b"b1", b"b2"], C: [b"c1"]}


def change(*members: Member) -> ConfigurationChange:
    return ConfigurationChange(members)


def message(text: str) -> Delivered:
    sender = {"a": A, "b": B, "c": C}[text[0]]
    return Delivered(sender, text.encode())


def messages(text: str) -> list[Event]:
    return [message(word) for word in text.split()]


def test_the_same_log_at_all_members_is_accepted() -> None:
    log = [change(A, B, C), *messages("a1 b1 c1 a2 b2 a3")]
    check_contract({A: log, B: log, C: log}, SENT, is_settled=True)


def test_members_that_learn_of_each_other_in_different_steps_are_accepted() -> None:
    shared = messages("a2 c1 a3")
    logs = {
        A: [change(A), message("a1"), change(A, B), change(A, B, C), *shared],
        B: [change(B, C), *messages("b1 b2"), change(B, C, A), *shared],
    }
    check_contract(logs, SENT, is_settled=True)


def test_members_that_part_may_have_heard_different_things_just_before() -> None:
    logs = {
        A: [change(A, B), *messages("a1 a2"), change(A), message("a3")],
        B: [change(A, B), *messages("a1 b1 b2"), change(B)],
    }
    check_contract(logs, SENT, is_settled=True)


def test_a_log_that_is_still_growing_may_be_behind_another() -> None:
    logs = {
        A: [change(A, B), *messages("a1 b1 a2"), change(A, B, C), message("c1")],
        B: [change(A, B), *messages("a1 b1")],
    }
    check_contract(logs, SENT, is_settled=False)


BROKEN: dict[str, tuple[dict[Member, list[Event]], str]] = {
    "a message before the first change": ({A: messages("a1")}, "not a member"),
    "a message after leaving": (
        {A: [change(A, B), *messages("a1 a2 a3"), change(B), message("b1")]},
        "not a member",
    ),
    "a message of a stranger": ({A: [change(A), *messages("b1")]}, "not in"),
    "a message twice": ({A: [change(A, B), *messages("b1 b1")]}, "more than once"),
    "a message that nobody sent": ({A: [change(A, B), *messages("b7")]}, "never sent"),
    "a sender's messages out of order": ({A: [change(A, B), *messages("b2 b1")]}, "out of order"),
    "two orders": (
        {
            A: [change(A, B, C), *messages("b1 c1"), change(A)],
            B: [change(A, B, C), *messages("c1 b1"), change(B)],
        },
        "two orders",
    ),
    "a message that only one of two got": (
        {
            A: [change(A, B, C), *messages("b1 c1"), change(A, B), message("b2")],
            B: [change(A, B, C), *messages("b1"), change(A, B), message("b2")],
        },
        "heard different things",
    ),
    "a message on different sides of a change": (
        {
            A: [change(A, B, C), *messages("b1 c1 b2"), change(A, B)],
            B: [change(A, B, C), *messages("b1 c1"), change(A, B), message("b2")],
        },
        "heard different things",
    ),
    "a parting that one side missed": (
        {
            A: [change(A, B), change(A), change(A, B)],
            B: [change(A, B)],
        },
        "how often they were together",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_promise_is_found(name: str) -> None:
    logs, complaint = BROKEN[name]
    sent = {**SENT, **{me: _own(log, me) for me, log in logs.items()}}
    with pytest.raises(AssertionError, match=re.escape(complaint)):
        check_contract(logs, sent, is_settled=True)


@pytest.mark.parametrize("got", ["a1 a3", "a1 a2", "a2 a1 a3", "a1 a2 a3 a3"])
def test_own_messages_lost_moved_or_repeated_are_found(got: str) -> None:
    with pytest.raises(AssertionError, match="sent 3"):
        check_contract({A: [change(A), *messages(got)]}, SENT, is_settled=True)


def test_of_a_member_that_was_cut_off_only_the_end_may_be_missing() -> None:
    check_contract({A: [change(A), *messages("a1 a2")]}, SENT, is_settled=False)
    with pytest.raises(AssertionError, match="sent 3"):
        check_contract({A: [change(A), *messages("a1 a3")]}, SENT, is_settled=False)


def _own(log: list[Event], me: Member) -> list[bytes]:
    return [event.data for event in log if isinstance(event, Delivered) and event.sender == me]
