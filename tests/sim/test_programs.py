"""Programs that hypothesis makes up go well, and a failing one is told in a few lines."""

import pytest

from tests.sim.planted_protocol import apply_without_quorum
from tests.sim.programs import search


def test_programs_go_well() -> None:
    found = search(1, examples=30)
    assert found is None, str(found)


def test_a_bug_is_told_in_a_short_program_that_fails_again(monkeypatch: pytest.MonkeyPatch) -> None:
    apply_without_quorum(monkeypatch)
    found = search(1, examples=100)
    assert found is not None
    assert len(found.lines) <= 8, str(found)
    with pytest.raises(AssertionError):
        found.run()
