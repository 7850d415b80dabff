"""Waiting for a claim."""

import pytest
from pmxcfs_lab.eventually import eventually


def test_a_claim_that_becomes_true_is_waited_for() -> None:
    tries = iter([False, False, True])

    def check() -> str:
        assert next(tries)
        return "value"

    assert eventually(check, within_s=5, every_s=0) == "value"


def test_the_last_failure_is_in_the_message() -> None:
    def check() -> None:
        raise AssertionError("node3 is away")

    with pytest.raises(AssertionError, match=r"not true within 0 s \(1 tries\).*node3 is away"):
        eventually(check, within_s=0)


def test_an_error_that_is_no_claim_ends_the_wait_at_once() -> None:
    def check() -> None:
        raise OSError("disk on fire")

    with pytest.raises(OSError, match="disk on fire"):
        eventually(check, within_s=60)
