"""What the validator of guests finds, and what it lets pass."""

from pmxcfs_lab.runs.clients.guests import place

from tests.unit.lab.runs.story import Story

ONE, TWO, THREE = (place(f"node{number}", 100) for number in (1, 2, 3))


def test_a_guest_that_is_made_moved_and_removed_in_order_is_fine() -> None:
    story = Story()
    story.call("create", ONE, 1.0, 1.1)
    story.call("migrate", ONE, 2.0, 2.1, value=TWO, client="c2")
    story.call("destroy", TWO, 3.0, 3.1, client="c3")
    story.call("create", THREE, 4.0, 4.1)
    assert story.finding("guests").examined == 4
    assert story.violations("guests") == ()


def test_a_number_that_is_made_twice_is_found() -> None:
    story = Story()
    story.call("create", ONE, 1.0, 1.1)
    story.call("create", TWO, 2.0, 2.1, client="c2")
    assert "create of nodes/node2" in story.complaint("guests")


def test_of_two_who_make_it_at_once_only_one_may_be_told_so() -> None:
    story = Story()
    story.call("create", ONE, 1.0, 1.5)
    story.call("create", TWO, 1.1, 1.4, client="c2")
    assert len(story.violations("guests")) == 1


def test_a_guest_cannot_be_moved_from_where_it_is_not() -> None:
    story = Story()
    story.call("create", ONE, 1.0, 1.1)
    story.call("migrate", ONE, 2.0, 2.1, value=TWO)
    story.call("migrate", ONE, 3.0, 3.1, value=THREE, client="c2")
    assert len(story.violations("guests")) == 1


def test_two_who_move_a_guest_to_the_same_place_may_both_be_told_that_they_did() -> None:
    story = Story()
    story.call("create", ONE, 1.0, 1.1)
    story.call("migrate", ONE, 2.0, 2.5, value=TWO, client="c2")
    story.call("migrate", ONE, 2.1, 2.4, value=TWO, client="c3")
    assert story.violations("guests") == ()


def test_calls_at_the_same_time_fit_in_any_order() -> None:
    story = Story()
    story.call("create", ONE, 1.0, 1.1)
    story.call("migrate", TWO, 2.0, 2.5, value=THREE, client="c2")
    story.call("migrate", ONE, 2.1, 2.4, value=TWO, client="c3")
    assert story.violations("guests") == ()


def test_a_call_without_an_outcome_fits_later_or_never() -> None:
    story = Story()
    story.call("create", ONE, 1.0, None, outcome="unknown")
    story.call("create", TWO, 2.0, 2.1, client="c2")
    assert story.violations("guests") == (), "it never happened"
    story.call("destroy", TWO, 3.0, 3.1, client="c2")
    story.call("migrate", ONE, 4.0, 4.1, value=THREE, client="c3")
    assert story.violations("guests") == (), "it happened after all"
    story.call("migrate", ONE, 5.0, 5.1, value=TWO, client="c3")
    assert len(story.violations("guests")) == 1, "but not twice"


def test_what_was_refused_did_not_happen() -> None:
    story = Story()
    story.call("create", ONE, 1.0, 1.1)
    story.call("create", TWO, 2.0, 2.1, outcome="fail", errno="EEXIST")
    story.call("migrate", ONE, 3.0, 3.1, value=TWO)
    assert story.violations("guests") == ()


def test_two_configurations_of_one_number_in_the_end_are_found() -> None:
    story = Story()
    story.trees["node2"] = {ONE: {}, TWO: {}}
    assert "100 has 2 configurations" in story.complaint("guests")
