"""What the validator of reads finds, and what it lets pass."""

import pytest
from pmxcfs_lab.runs.clients.text import ABSENT, TORN

from tests.unit.lab.runs.story import Story


def test_reads_that_follow_the_writes_are_fine() -> None:
    story = Story()
    story.read(ABSENT, 0.5)
    for number in range(1, 4):
        story.read(story.update(number, number * 1.0), number + 0.5)
    assert story.finding("monotony").examined == 4
    assert story.violations("monotony") == ()


def test_a_client_that_reads_an_older_text_than_before_went_back() -> None:
    story = Story()
    first, second = story.update(1, 1.0), story.update(2, 2.0)
    story.read(second, 3.0)
    story.read(first, 4.0)
    assert story.complaint("monotony") == "r1 read c1.1.3 in f after c1.2.3"


def test_a_file_that_was_there_and_is_not_is_a_step_back() -> None:
    story = Story()
    story.read(story.update(1, 1.0), 2.0)
    story.read(ABSENT, 3.0)
    assert len(story.violations("monotony")) == 1


def test_another_client_on_another_node_may_be_behind() -> None:
    story = Story()
    first, second = story.update(1, 1.0), story.update(2, 2.0)
    story.read(second, 3.0)
    story.read(first, 4.0, client="r2", node="node3")
    assert story.violations("monotony") == ()


def test_on_the_writers_node_everybody_sees_what_was_acknowledged() -> None:
    story = Story()
    first, _second = story.update(1, 1.0), story.update(2, 2.0)
    story.read(first, 2.05, node="node1")
    assert story.violations("monotony") == (), "the write was not acknowledged yet"
    story.read(first, 2.2, node="node1")
    assert len(story.violations("monotony")) == 1


@pytest.mark.parametrize("found", [f"{TORN} c1.1.3", "c1.9.3"], ids=["torn", "nobody's"])
def test_a_text_that_nobody_wrote_as_a_whole_is_a_violation(found: str) -> None:
    story = Story()
    story.update(1, 1.0)
    story.read(found, 2.0)
    assert len(story.violations("monotony")) == 1


def test_a_text_cannot_be_read_before_it_is_written() -> None:
    story = Story()
    story.read(story.update(1, 5.0), 2.0)
    assert "before it was written" in story.complaint("monotony")


def test_a_text_that_was_never_promised_to_last_may_be_read_and_vanish() -> None:
    story = Story()
    first, second = story.update(1, 1.0), story.update(2, 10.5)
    story.fault(10.0, 20.0, "isolate", node="node1")
    story.read(second, 11.0, node="node1")
    story.read(first, 25.0, node="node1")
    assert story.violations("monotony") == ()


def test_a_node_that_lost_power_may_show_what_its_disk_had() -> None:
    story = Story()
    first, second = story.update(1, 1.0), story.update(2, 2.0)
    story.read(second, 3.0)
    story.fault(10.0, 20.0, "power_off", nodes=["node2"])
    story.read(first, 25.0)
    assert story.violations("monotony") == ()
