"""The durability protocol, one member at a time; the test speaks for the others and the disk."""

from collections.abc import Sequence
from errno import EIO

import pytest

from pmxcfs.dfsm.effects import Answer, Effect, Multicast, Ticket
from pmxcfs.dfsm.events import (
    ConfigurationChange,
    Connected,
    Delivered,
    Disconnected,
    SendFailed,
)
from pmxcfs.dfsm.history import DIGEST_BYTES, History, Point
from pmxcfs.durable.machine import ASK_PERIOD_S, Durability, SyncDisk
from pmxcfs.durable.promise import FEW_S_MAX, Promise
from pmxcfs.durable.votes import Votes
from pmxcfs.durable.wire import MAGIC, Message, MessageType, decode
from pmxcfs.identity import Member, NodeId, Pid

ME, TWO, THREE = (Member(NodeId(number), Pid(number * 11)) for number in (1, 2, 3))
ALL = (ME, TWO, THREE)
NAMES = {NodeId(number): f"node{number}" for number in (1, 2, 3)}
ONE_EACH = Votes(dict.fromkeys(NAMES, 1))
FIRST, SECOND = Ticket(1), Ticket(2)
SYNC = SyncDisk()


class Stage:
    """The machine of ``ME`` in a cluster of three that is in sync, and a member beside it."""

    def __init__(self, members: Sequence[Member] = ALL, votes: Votes = ONE_EACH) -> None:
        self.history, self.theirs = History(), History()
        self.is_settled = True
        self.machine = Durability(self.history, lambda: self.is_settled)
        self.machine.learn_nodes(votes, NAMES)
        self.machine.learn_quorum(is_quorate=True)
        self.machine.step(Connected(ME))
        self.members(*members)
        self.begin_era(b"first")

    def members(self, *members: Member, joined: Sequence[Member] = ()) -> list[Effect]:
        return self.machine.step(ConfigurationChange(tuple(members), (), tuple(joined)))

    def begin_era(self, agreement: bytes, *, is_replaced: bool = False) -> list[Effect]:
        self.history.begin(agreement, is_replaced=is_replaced)
        self.theirs.begin(agreement, is_replaced=False)
        return self.machine.advance()

    def change(self, count: int, *histories: History) -> None:
        for history in histories or (self.history, self.theirs):
            history.note(TWO, count)

    def hear(self, sender: Member, kind: MessageType, point: Point) -> list[Effect]:
        return self.machine.step(Delivered(sender, Message(kind, point).encode()))

    def tell(self, sender: Member, point: Point | None = None) -> list[Effect]:
        return self.hear(sender, MessageType.DURABLE, point or self.theirs.point)

    def sync(self, ticket: Ticket | None = None) -> list[Effect]:
        return self.machine.note_synced(self.machine.mark(), ticket)


@pytest.fixture
def stage() -> Stage:
    return Stage()


def ask_of(point: Point) -> Multicast:
    return Multicast(Message(MessageType.ASK, point).encode())


def durable(point: Point) -> Multicast:
    return Multicast(Message(MessageType.DURABLE, point).encode())


def asked(effects: Sequence[Effect]) -> list[Point]:
    messages = [decode(effect.data) for effect in effects if isinstance(effect, Multicast)]
    return [message.point for message in messages if message.type is MessageType.ASK]


def test_two_of_three_are_enough(stage: Stage) -> None:
    assert stage.machine.ask(FIRST) == [ask_of(stage.history.point)]
    assert stage.sync(FIRST) == []
    assert stage.tell(TWO) == [Answer(FIRST, 0)]
    assert stage.machine.is_idle


def test_the_two_others_are_enough_too(stage: Stage) -> None:
    stage.machine.ask(FIRST)
    assert stage.tell(TWO) == []
    assert stage.tell(THREE) == [Answer(FIRST, 0)]


def test_one_node_that_says_it_twice_is_still_one(stage: Stage) -> None:
    stage.machine.ask(FIRST)
    assert stage.tell(TWO) == []
    assert stage.tell(Member(TWO.node_id, Pid(99))) == []


def test_who_has_less_does_not_count(stage: Stage) -> None:
    before = stage.theirs.point
    stage.change(1)
    stage.machine.ask(FIRST)
    stage.sync(FIRST)
    assert stage.tell(TWO, before) == []
    assert stage.tell(TWO) == [Answer(FIRST, 0)]


def test_who_has_as_much_of_something_else_does_not_count(stage: Stage) -> None:
    stage.change(1, stage.history)
    stage.change(2, stage.theirs)
    stage.machine.ask(FIRST)
    stage.sync(FIRST)
    assert stage.tell(TWO) == []


def test_who_is_ahead_counts_once_we_have_seen_that_it_is_our_history(stage: Stage) -> None:
    stage.machine.ask(FIRST)
    stage.sync(FIRST)
    stage.change(1, stage.theirs)
    assert stage.tell(TWO) == []
    stage.change(1, stage.history)
    assert stage.machine.advance() == [Answer(FIRST, 0)]


def test_what_a_majority_has_already_is_answered_at_once(stage: Stage) -> None:
    stage.sync()
    stage.tell(TWO)
    assert stage.machine.ask(FIRST) == [Answer(FIRST, 0)]


def test_many_who_ask_at_a_time_ask_once_and_those_who_come_later_once_more(stage: Stage) -> None:
    first = stage.history.point
    assert asked(stage.machine.ask(FIRST)) == [first]
    assert stage.machine.ask(SECOND) == []
    stage.change(1)
    later = [Ticket(number) for number in range(3, 9)]
    for ticket in later:
        assert asked(stage.machine.ask(ticket)) == []
    stage.sync(FIRST)
    effects = stage.tell(TWO, first)
    assert effects[:2] == [Answer(FIRST, 0), Answer(SECOND, 0)]
    assert asked(effects) == [stage.history.point]
    assert stage.tell(TWO) == [Answer(ticket, 0) for ticket in later]


def test_a_question_without_answer_is_repeated_as_it_was(stage: Stage) -> None:
    first = stage.history.point
    stage.machine.ask(FIRST)
    stage.change(1)
    assert stage.machine.pass_time(ASK_PERIOD_S / 2) == []
    assert stage.machine.pass_time(ASK_PERIOD_S / 2) == [ask_of(first)]
    assert stage.machine.pass_time(ASK_PERIOD_S / 2) == []


def test_who_joins_is_asked_too(stage: Stage) -> None:
    stage.members(ME)
    stage.machine.ask(FIRST)
    assert asked(stage.members(*ALL, joined=(TWO, THREE))) == [stage.history.point]


def test_outside_of_the_group_nothing_is_asked(stage: Stage) -> None:
    stage.machine.step(Disconnected())
    assert stage.machine.ask(FIRST) == []
    stage.machine.step(Connected(ME))
    assert asked(stage.members(*ALL, joined=(ME,))) == [stage.history.point]


def test_a_message_that_was_not_sent_is_sent_again_later(stage: Stage) -> None:
    (question,) = stage.machine.ask(FIRST)
    assert isinstance(question, Multicast)
    assert stage.machine.step(SendFailed(question.data)) == []
    assert stage.machine.pass_time(ASK_PERIOD_S) == [question]


def test_who_is_asked_syncs_first_and_then_tells(stage: Stage) -> None:
    assert stage.hear(TWO, MessageType.ASK, stage.theirs.point) == [SYNC]
    assert not stage.machine.is_idle
    assert stage.sync() == [durable(stage.history.point)]
    assert stage.machine.is_idle


def test_who_has_synced_already_tells_at_once_and_tells_all_it_has(stage: Stage) -> None:
    early = stage.theirs.point
    stage.change(1)
    stage.sync()
    assert stage.hear(TWO, MessageType.ASK, early) == [durable(stage.history.point)]


def test_a_sync_that_began_before_does_not_count(stage: Stage) -> None:
    mark = stage.machine.mark()
    stage.change(1)
    assert stage.hear(TWO, MessageType.ASK, stage.theirs.point) == [SYNC]
    assert stage.machine.note_synced(mark) == [SYNC]


def test_a_question_that_comes_before_the_change_is_held(stage: Stage) -> None:
    stage.change(1, stage.theirs)
    assert stage.hear(TWO, MessageType.ASK, stage.theirs.point) == []
    stage.change(1, stage.history)
    assert stage.machine.advance() == [SYNC]


def test_a_question_about_another_history_is_never_answered(stage: Stage) -> None:
    stage.change(1, stage.history)
    stage.change(2, stage.theirs)
    assert stage.hear(TWO, MessageType.ASK, stage.theirs.point) == []
    assert stage.sync() == []


def test_two_who_ask_share_an_answer(stage: Stage) -> None:
    stage.hear(TWO, MessageType.ASK, stage.theirs.point)
    stage.hear(THREE, MessageType.ASK, stage.theirs.point)
    assert stage.sync() == [durable(stage.history.point)]


def test_who_has_left_is_not_answered(stage: Stage) -> None:
    stage.hear(TWO, MessageType.ASK, stage.theirs.point)
    stage.members(ME, THREE)
    assert stage.machine.is_idle


def test_our_own_questions_and_answers_do_not_concern_us(stage: Stage) -> None:
    stage.machine.ask(FIRST)
    assert stage.hear(ME, MessageType.ASK, stage.history.point) == []
    assert stage.tell(ME) == []
    assert stage.tell(TWO) == []


def test_while_the_database_lags_nothing_is_told_and_nothing_believed(stage: Stage) -> None:
    stage.is_settled = False
    assert stage.machine.mark() is None
    assert stage.hear(TWO, MessageType.ASK, stage.theirs.point) == []
    assert stage.machine.ask(FIRST) == []
    assert stage.sync(FIRST) == []
    stage.is_settled = True
    effects = stage.machine.advance()
    assert SYNC in effects, "what was synced before that was something else"
    assert asked(effects) == [stage.history.point]


def test_a_synchronisation_takes_back_what_members_told(stage: Stage) -> None:
    stage.machine.ask(FIRST)
    stage.tell(TWO)
    stage.history.end()
    assert stage.sync(FIRST) == []
    effects = stage.begin_era(b"second")
    assert SYNC in effects
    assert asked(effects) == [stage.history.point]
    stage.sync()
    assert stage.tell(TWO) == [Answer(FIRST, 0)]


def test_an_answer_that_comes_before_our_own_synchronisation_ends_counts(stage: Stage) -> None:
    stage.machine.ask(FIRST)
    stage.history.end()
    stage.theirs.begin(b"second", is_replaced=False)
    assert stage.tell(TWO) == []
    stage.history.begin(b"second", is_replaced=False)
    stage.machine.advance()
    assert stage.sync(FIRST) == [Answer(FIRST, 0)]


def test_who_waits_while_its_tree_is_replaced_gets_eio(stage: Stage) -> None:
    stage.machine.ask(FIRST)
    stage.tell(TWO)
    stage.history.end()
    assert stage.begin_era(b"second", is_replaced=True) == [Answer(FIRST, -EIO)]
    assert asked(stage.machine.ask(SECOND)) == [stage.history.point]


def test_who_gave_up_is_forgotten(stage: Stage) -> None:
    stage.machine.ask(FIRST)
    stage.machine.withdraw(FIRST)
    assert stage.machine.is_idle
    stage.sync()
    assert stage.tell(TWO) == []


def test_those_who_are_waited_for_have_names(stage: Stage) -> None:
    stage.machine.ask(FIRST)
    stage.sync(FIRST)
    stage.members(ME, TWO)
    assert stage.machine.lacking(FIRST) == ["node2 (id 2)", "node3 (id 3, not in the group)"]
    stage.machine.learn_quorum(is_quorate=False)
    assert stage.machine.lacking(FIRST) == ["quorum"]
    stage.machine.learn_quorum(is_quorate=True)
    stage.history.end()
    stage.machine.ask(SECOND)
    assert stage.machine.lacking(SECOND) == ["the group to be in sync"]


@pytest.mark.parametrize(
    "data", [b"", b"junk" * 9, MAGIC + b"\2\0\1\0", Message(MessageType(1), Point(0, b"")).encode()]
)
def test_a_bad_message_costs_one_line_and_nothing_else(
    stage: Stage, data: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = data[:-1] + bytes([data[-1] ^ 1]) if data[4:6] == b"\1\0" else data
    for _ in range(3):
        assert stage.machine.step(Delivered(TWO, changed)) == []
    assert capsys.readouterr().out.count("ignoring") == 1
    stage.machine.ask(FIRST)
    stage.sync(FIRST)
    assert stage.tell(TWO) == [Answer(FIRST, 0)]


def test_an_era_of_zeros_is_not_believed(stage: Stage) -> None:
    stage.machine.ask(FIRST)
    stage.sync(FIRST)
    assert stage.tell(TWO, Point(0, bytes(DIGEST_BYTES))) == []


def test_a_cluster_of_one_needs_nobody() -> None:
    stage = Stage([ME], Votes({ME.node_id: 1}))
    assert asked(stage.machine.ask(FIRST)) == [stage.history.point]
    assert stage.sync(FIRST) == [Answer(FIRST, 0)]


class TestTooFew:
    """One of ours among three nodes: no majority, whatever it does."""

    @pytest.fixture
    def stage(self) -> Stage:
        return Stage([ME])

    def test_at_first_they_are_waited_for(self, stage: Stage) -> None:
        stage.machine.ask(FIRST)
        assert stage.sync(FIRST) == []
        assert stage.machine.promise is Promise.NOTHING

    def test_after_a_while_this_nodes_disk_has_to_be_enough(
        self, stage: Stage, capsys: pytest.CaptureFixture[str]
    ) -> None:
        stage.machine.ask(FIRST)
        stage.sync(FIRST)
        stage.machine.pass_time(FEW_S_MAX / 2)
        assert stage.machine.pass_time(FEW_S_MAX / 2) == [Answer(FIRST, 0)]
        assert stage.machine.promise is Promise.THIS_NODE
        assert "no more than this node's disk" in capsys.readouterr().out

    def test_this_nodes_disk_at_least(self, stage: Stage) -> None:
        stage.machine.pass_time(FEW_S_MAX)
        assert Answer(FIRST, 0) not in stage.machine.ask(FIRST)
        assert stage.sync(FIRST) == [Answer(FIRST, 0)]

    def test_also_while_the_group_is_not_in_sync(self, stage: Stage) -> None:
        stage.machine.pass_time(FEW_S_MAX)
        stage.history.end()
        stage.machine.ask(FIRST)
        assert stage.sync(FIRST) == [Answer(FIRST, 0)]

    def test_never_without_quorum(self, stage: Stage) -> None:
        stage.machine.pass_time(FEW_S_MAX)
        stage.machine.learn_quorum(is_quorate=False)
        stage.machine.pass_time(FEW_S_MAX)
        assert stage.machine.promise is Promise.NOTHING
        stage.machine.ask(FIRST)
        assert Answer(FIRST, 0) not in stage.sync(FIRST)

    def test_never_while_we_do_not_know_who_is_there(self, stage: Stage) -> None:
        stage.machine.step(Disconnected())
        stage.machine.pass_time(FEW_S_MAX)
        assert stage.machine.promise is Promise.NOTHING
        unknown = Stage([ME], Votes())
        unknown.machine.pass_time(FEW_S_MAX)
        assert unknown.machine.promise is Promise.NOTHING

    def test_once_others_are_there_they_are_waited_for_again(
        self, stage: Stage, capsys: pytest.CaptureFixture[str]
    ) -> None:
        stage.machine.pass_time(FEW_S_MAX)
        stage.members(ME, TWO, joined=(TWO,))
        assert stage.machine.promise is Promise.MAJORITY
        stage.machine.ask(FIRST)
        assert stage.sync(FIRST) == []
        stage.machine.pass_time(ASK_PERIOD_S)
        assert "majority of the nodes again" in capsys.readouterr().out
        assert stage.tell(TWO) == [Answer(FIRST, 0)]
