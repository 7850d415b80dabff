"""Where labs keep their state."""

from pathlib import Path

import pytest
from pmxcfs_lab.errors import LabError
from pmxcfs_lab.layout import Layout, existing_labs


@pytest.mark.parametrize("name", ["", "..", "a/b", "UP", "-x", "a" * 33, "a b"])
def test_a_name_that_could_leave_the_folder_or_break_a_path_is_refused(name: str) -> None:
    with pytest.raises(LabError, match="cannot name a lab"):
        Layout(name)


def test_the_longest_name_still_fits_into_a_socket_address() -> None:
    assert len(str(Layout("a" * 32).control("node9"))) < 108


def test_labs_are_found_by_what_they_left_in_either_place(tmp_path: Path) -> None:
    state, run = tmp_path / "state", tmp_path / "run"
    (state / "one").mkdir(parents=True)
    (run / "two").mkdir(parents=True)
    (run / "two.lock").touch()
    assert existing_labs(state, run) == ["one", "two"]


def test_recorded_processes_are_listed_by_name(tmp_path: Path) -> None:
    layout = Layout("lab", run_root=tmp_path)
    layout.run.mkdir()
    for name in ("switch", "node1"):
        layout.process(name).touch()
    assert [name for name, _ in layout.node_processes()] == ["node1", "switch"]
