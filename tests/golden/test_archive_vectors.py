"""The reference's RRD files, recorded; ours have to be the same in all that librrd says of them."""

import json
import lzma
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pmxcfs.rrd.writer import RrdWriter
from tests.golden.archives import found

WITHIN_S = 30


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Return the record, in its time zone."""
    path = Path(__file__).with_name("vectors") / "rrd.json.xz"
    vector = json.loads(lzma.decompress(path.read_bytes()))
    umask = os.umask(0o027)  # the daemon's
    with monkeypatch.context() as patch:
        patch.setenv("TZ", vector["zone"])
        time.tzset()
        yield vector
    time.tzset()
    os.umask(umask)


def written(directory: Path, recorded: dict[str, Any]) -> RrdWriter:
    """Write what was recorded into a directory."""
    writer = RrdWriter(directory, directory / "no.sock", clock=lambda: recorded["now_s"])
    for key, text in recorded["published"]:
        writer.put(key.removeprefix("rrd/").encode(), text.encode())
    writer.start()
    assert writer.stop(WITHIN_S)
    return writer


def test_files_of_all_versions_are_the_references(tmp_path: Path, recorded: dict[str, Any]) -> None:
    writer = written(tmp_path, recorded)
    assert writer.written == len(recorded["published"]) == 33
    files = json.loads(json.dumps(found(tmp_path, recorded["now_s"])))
    assert files.keys() == recorded["files"].keys()
    for name, expected in recorded["files"].items():
        assert json.dumps(files[name]) == json.dumps(expected), name
