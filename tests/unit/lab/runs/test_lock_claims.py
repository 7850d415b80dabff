"""What the validators of locks find, and what they let pass."""

from tests.unit.lab.runs.story import Story

LOCK = "priv/lock/x"
CLIENTS = {"a": "node1", "b": "node2", "c": "node3"}


def hold(story: Story, client: str, taken_s: float, given_s: float | None) -> None:
    node = CLIENTS[client]
    story.call("lock", LOCK, taken_s - 0.05, taken_s, client=client, node=node)
    if given_s is not None:
        story.call("unlock", LOCK, given_s, given_s + 0.05, client=client, node=node)


def ask_in_vain(story: Story, client: str, at_s: float) -> None:
    node = CLIENTS[client]
    story.call("lock", LOCK, at_s, at_s + 0.01, client=client, node=node, outcome="fail")


def test_holders_that_follow_each_other_are_fine() -> None:
    story = Story()
    for turn, client in enumerate("abcabc"):
        hold(story, client, turn, turn + 0.5)
    assert story.finding("holders").examined == 6
    assert story.violations("holders") == ()


def test_two_holders_at_once_are_found() -> None:
    story = Story()
    hold(story, "a", 1.0, 3.0)
    hold(story, "b", 2.0, 4.0)
    assert story.complaint("holders") == f"{LOCK}: b got it while a had it"


def test_a_short_hold_within_a_long_one_hides_nothing() -> None:
    story = Story()
    hold(story, "a", 1.0, 9.0)
    hold(story, "b", 2.0, 3.0)
    hold(story, "c", 5.0, 6.0)
    assert len(story.violations("holders")) == 2


def test_a_lock_may_be_taken_while_its_holder_gives_it_back() -> None:
    story = Story()
    hold(story, "a", 1.0, 2.0)
    hold(story, "b", 2.01, 3.0)
    assert story.violations("holders") == ()


def test_the_lock_of_a_holder_that_crashed_is_its_for_120_s() -> None:
    story = Story()
    hold(story, "a", 1.0, None)
    hold(story, "b", 122.0, 123.0)
    assert story.violations("holders") == ()
    hold(story, "c", 120.5, 121.5)
    assert len(story.violations("holders")) == 1


def test_a_lock_that_a_node_gave_while_it_was_cut_off_counts_for_nobody() -> None:
    story = Story()
    story.fault(0.5, 5.0, "isolate", node="node1")
    hold(story, "a", 1.0, 3.0)
    hold(story, "b", 2.0, 4.0)
    assert story.violations("holders") == ()
    assert story.finding("holders").excused == 1


def test_all_who_contend_in_calm_times_get_the_lock() -> None:
    story = Story()
    for turn in range(40):
        hold(story, "ab"[turn % 2], turn, turn + 0.5)
        ask_in_vain(story, "c", turn + 0.2)
    assert story.finding("progress").examined == 3
    assert "c never got" in story.complaint("progress")
    hold(story, "c", 41.0, 41.5)
    assert story.violations("progress") == ()


def test_who_contends_only_while_there_are_faults_is_owed_nothing() -> None:
    story = Story()
    story.fault(0.0, 39.0, "isolate", node="node3")
    for turn in range(40):
        ask_in_vain(story, "c", turn)
    assert story.finding("progress").examined == 0


def test_a_lock_that_was_left_behind_must_be_free_some_time_after_120_s() -> None:
    story = Story()
    hold(story, "a", 1.0, None)
    for turn in range(2, 175):
        ask_in_vain(story, "b", turn)
    assert "was left behind" in story.complaint("progress")
    hold(story, "b", 125.0, 126.0)
    assert story.violations("progress") == ()


def test_who_gives_up_may_have_made_the_lock_as_late_as_that() -> None:
    story = Story()
    story.call("lock", LOCK, 1.0, 20.0, client="a", node=CLIENTS["a"], outcome="unknown")
    hold(story, "b", 5.0, 6.0)
    for turn in range(21, 60):
        ask_in_vain(story, "c", turn)
    assert story.finding("progress").examined == 0
    hold(story, "b", 60.0, 60.5)
    for turn in range(61, 80):
        ask_in_vain(story, "c", turn)
    assert "c never got" in story.complaint("progress")
