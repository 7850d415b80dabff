"""The lab's record."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from pmxcfs_lab.errors import LabError
from pmxcfs_lab.plan import make_plan
from pmxcfs_lab.record import LabRecord, Owner, read_record, require_record

PLAN = make_plan("lab", 3, {"node2": "/opt/pmxcfs"})


@pytest.mark.parametrize("owner", [None, Owner.ourselves()])
def test_a_record_is_read_as_it_was_written(tmp_path: Path, owner: Owner | None) -> None:
    path = tmp_path / "lab" / "lab.json"
    record = LabRecord(PLAN, "namespaces", is_complete=True, owner=owner)
    record.write(path)
    assert read_record(path) == record


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", json.dumps({"plan": {}}), "null"])
def test_a_record_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "lab.json"
    path.write_text(text)
    assert read_record(path) is None


def test_a_lab_that_is_not_there_is_refused_by_naming_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(LabError, match='no lab "lab"') as caught:
        require_record(tmp_path / "lab.json", "lab", ["two"])
    assert caught.value.hint == "There is: two."


def test_we_are_not_gone_but_our_predecessor_with_our_number_is() -> None:
    ours = Owner.ourselves()
    assert not ours.is_gone()
    assert replace(ours, process=replace(ours.process, started_ticks=1)).is_gone()


def test_an_owner_in_another_pid_namespace_may_still_be_there() -> None:
    ours = Owner.ourselves()
    stranger = replace(ours.process, started_ticks=1)
    assert not Owner(stranger, "pid:[1]").is_gone()
