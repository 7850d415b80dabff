"""Errors of corosync's libraries have names, and an unreachable corosync is one of them."""

from types import SimpleNamespace

import pytest

from pmxcfs._corosync import lib
from pmxcfs.corosync.cpg import CpgHandle
from pmxcfs.corosync.handle import Code, CorosyncError, check


def test_success_is_one() -> None:
    check(1, "cpg_join")
    with pytest.raises(CorosyncError):
        check(0, "cpg_join")


def test_an_error_says_what_failed_and_why() -> None:
    text = str(CorosyncError(6, "cpg_mcast_joined"))
    assert text == "cpg_mcast_joined failed: 6 (TRY_AGAIN, corosync is busy)"


def test_an_error_that_we_have_no_name_for_is_still_readable() -> None:
    assert str(CorosyncError(77, "cpg_join")) == "cpg_join failed: 77"


@pytest.mark.parametrize("request_name", ["join", "leave"])
def test_a_handle_that_is_not_open_is_refused(request_name: str) -> None:
    with pytest.raises(CorosyncError) as caught:
        getattr(CpgHandle(), request_name)(b"group\0")
    assert caught.value.code == Code.BAD_HANDLE


def test_a_group_name_that_is_too_long_is_a_programming_error() -> None:
    handle = CpgHandle()
    handle._id = 1
    with pytest.raises(ValueError, match="at most 128"):
        handle.join(b"x" * 129)


def test_messages_are_sent_for_the_agreed_order_in_one_piece(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the number of it that the reference's calls were recorded with."""
    calls: list[tuple[object, ...]] = []

    def mcast(handle_id: int, guarantee: int, parts: object, count: int) -> int:
        calls.append((handle_id, guarantee, count))
        return 1

    handle = CpgHandle()
    handle._id = 7
    fake = SimpleNamespace(CPG_TYPE_AGREED=lib.CPG_TYPE_AGREED, cpg_mcast_joined=mcast)
    monkeypatch.setattr("pmxcfs.corosync.cpg.lib", fake)
    handle.multicast(b"whole")
    assert calls == [(7, 2, 1)]


def test_closing_what_was_never_open_is_harmless() -> None:
    CpgHandle().close()
