"""Each life of three daemons of the reference in a cluster that had a hard time, relived.

They left and came back, were cut off and killed, lost corosync, met with two trees of one version
and broke a lock. `tests/e2e/test_recorded_traffic.py` makes such recordings, others each time.
"""

import tarfile
from collections import Counter
from pathlib import Path

import pytest

from tests.golden.recordings import (
    Recording,
    cluster_in,
    recordings_in,
    relive,
    relive_status,
)

ARCHIVE = Path(__file__).parent / "vectors/traffic.tar.xz"

SENT = {"NORMAL": 1246, "SYNC_START": 22, "STATE": 54, "UPDATE": 110, "UPDATE_COMPLETE": 22}
TOLD = {"NORMAL": 80, "SYNC_START": 22, "STATE": 54}
"""How many messages the ten processes sent in each group, by type; all of them are compared."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("traffic")
    with tarfile.open(ARCHIVE) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(path)
    return path


@pytest.fixture(scope="module")
def corosync_conf(folder: Path) -> bytes:
    return (folder / "corosync.conf").read_bytes()


@pytest.fixture(scope="module")
def recordings(folder: Path) -> list[Recording]:
    return list(recordings_in(folder))


def test_we_send_what_the_reference_sent_and_end_with_its_trees(
    recordings: list[Recording], corosync_conf: bytes
) -> None:
    sent: Counter[str] = Counter()
    for recording in recordings:
        sent.update(relive(recording, corosync_conf))
    assert sent == SENT


def test_we_tell_what_the_reference_told(recordings: list[Recording], corosync_conf: bytes) -> None:
    told: Counter[str] = Counter()
    for recording in recordings:
        told.update(relive_status(recording, cluster_in(corosync_conf)))
    assert told == TOLD
