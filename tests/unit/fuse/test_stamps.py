"""No modification time is told of two contents, and hardly any has nanoseconds."""

from hypothesis import given
from hypothesis import strategies as st

from pmxcfs.fuse.stamps import SECONDS_KEPT_MAX, Stamps
from pmxcfs.memdb.entry import Inode

FILE = Inode(7)
OTHER = Inode(8)


def test_one_content_has_one_time_however_often_it_is_asked_for() -> None:
    stamps = Stamps()
    assert [stamps.nanoseconds(FILE, second) for second in (5, 5, 9, 5)] == [0, 0, 0, 0]


def test_another_content_in_the_same_second_has_another_time() -> None:
    stamps = Stamps()
    assert stamps.nanoseconds(FILE, 5) == 0
    stamps.renew(FILE)
    assert stamps.nanoseconds(FILE, 5) == 1
    assert stamps.nanoseconds(OTHER, 5) == 0
    stamps.renew_all()
    assert [stamps.nanoseconds(file, 5) for file in (FILE, OTHER)] == [2, 1]


def test_a_time_that_was_not_told_before_needs_no_nanoseconds() -> None:
    stamps = Stamps()
    for second in (5, 6, 3, 4):
        assert stamps.nanoseconds(FILE, second) == 0
        stamps.renew(FILE)


def test_a_file_that_the_kernel_gave_back_begins_anew() -> None:
    stamps = Stamps()
    stamps.nanoseconds(FILE, 5)
    stamps.renew(FILE)
    stamps.drop(FILE)
    assert stamps.nanoseconds(FILE, 5) == 0


def test_times_that_go_forward_never_need_nanoseconds() -> None:
    stamps = Stamps()
    for second in range(10 * SECONDS_KEPT_MAX):
        assert stamps.nanoseconds(FILE, second) == 0
        stamps.renew(FILE)
    assert len(stamps._told[FILE].by_second) <= SECONDS_KEPT_MAX


@given(st.lists(st.one_of(st.none(), st.integers(0, 3 * SECONDS_KEPT_MAX)), max_size=2000))
def test_no_time_stands_for_two_contents(history: list[int | None]) -> None:
    stamps, content = Stamps(), 0
    told: dict[tuple[int, int], int] = {}
    for second in history:
        if second is None:
            content += 1
            stamps.renew(FILE)
        else:
            time = (second, stamps.nanoseconds(FILE, second))
            assert told.setdefault(time, content) == content
