"""A finished file gets its name whole, and never another's."""

import errno
import os
from pathlib import Path

import pytest

from pmxcfs.errors import StorageError
from pmxcfs.tools.publishing import publish, workshop


def no_links(source: Path, target: Path) -> None:
    raise OSError(errno.EPERM, "this file system has no links")


@pytest.mark.parametrize("has_links", [True, False])
def test_a_file_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    if not has_links:
        monkeypatch.setattr(os, "link", no_links)
    (tmp_path / "draft").write_text("new")
    publish(tmp_path / "draft", tmp_path / "target")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"target": "new"}


@pytest.mark.parametrize("has_links", [True, False])
def test_a_name_that_was_taken_meanwhile_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    if not has_links:
        monkeypatch.setattr(os, "link", no_links)
    (tmp_path / "draft").write_text("new")
    (tmp_path / "target").write_text("mine")
    with pytest.raises(StorageError, match="target exists; nothing is overwritten"):
        publish(tmp_path / "draft", tmp_path / "target")
    assert (tmp_path / "target").read_text() == "mine"


def test_a_workshop_is_private_and_leaves_nothing(tmp_path: Path) -> None:
    with workshop(tmp_path / "target") as directory:
        (directory / "draft").touch()
        assert directory.stat().st_mode & 0o777 == 0o700
        assert directory.parent == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_is_not_there_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(StorageError, match=r"cannot write beside .*: No such file"),
        workshop(tmp_path / "none" / "target"),
    ):
        pytest.fail("there is no such place")
