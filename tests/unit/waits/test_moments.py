"""Since when things are as they are."""

from pmxcfs.waits.moments import Moments


def test_each_thing_has_the_time_of_its_own_last_change() -> None:
    moments = Moments()
    moments.note(1, mode="a", disk="x")
    moments.note(2, mode="b", disk="x")
    moments.note(3, mode="b", disk="x")
    assert (moments.since_s("mode"), moments.since_s("disk")) == (2, 1)


def test_what_was_never_noted_has_no_time() -> None:
    assert Moments().since_s("mode") is None
