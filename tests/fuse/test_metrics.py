"""What Prometheus reads of a daemon, and what the files in docs/monitoring make of it."""

import errno
import http.client
import json
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pmxcfs.database import PAGE_BYTES
from tests.fuse.calls import refusal
from tests.fuse.daemon import Daemon

MONITORING = Path(__file__).parents[2] / "docs" / "monitoring"
WITHIN_S = 15
HOST = "127.0.0.1"

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Scraped:
    """One reading."""

    def __init__(self, text: str) -> None:
        self.names: set[str] = set()
        self._samples: Samples = {}
        for family in text_string_to_metric_families(text):
            self.names |= {family.name, f"{family.name}_total"}
            if family.type == "histogram":
                self.names |= {f"{family.name}_{part}" for part in ("bucket", "sum", "count")}
            for sample in family.samples:
                self._samples[sample.name, frozenset(sample.labels.items())] = sample.value

    def value(self, name: str, **labels: str) -> float:
        return self._samples.get((name, frozenset(labels.items())), 0.0)


class Measured:
    """A daemon that serves metrics."""

    def __init__(self, daemon: Daemon, port: int) -> None:
        self.daemon = daemon
        self.mount = daemon.mountpoint
        self._port = port

    def read(self) -> Scraped:
        client = http.client.HTTPConnection(HOST, self._port, timeout=WITHIN_S)
        try:
            client.request("GET", "/metrics")
            response = client.getresponse()
            assert response.status == 200
            return Scraped(response.read().decode())
        finally:
            client.close()


@pytest.fixture
def measured(tmp_path: Path) -> Iterator[Measured]:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    daemon = Daemon(tmp_path)
    daemon.start("-l", "--metrics-listen", f"{HOST}:{port}")
    yield Measured(daemon, port)
    assert daemon.stop() == 0
    assert daemon.complaints == []


def test_what_callers_do_is_counted(measured: Measured) -> None:
    path = measured.mount / "file"
    with path.open("wb", buffering=0) as file:
        for _ in range(10):
            file.write(b"x" * 100)
        os.fsync(file.fileno())
    (measured.mount / "priv" / "lock" / "held").mkdir(parents=True)
    assert refusal(os.rmdir, measured.mount / "priv") == errno.ENOTEMPTY
    now = measured.read()
    asked = "pmxcfs_fuse_request_duration_seconds_count"
    assert now.value(asked, request="write") == 10
    assert now.value(asked, request="fsync") == 1
    assert now.value("pmxcfs_fuse_request_errors_total", request="rmdir", errno="ENOTEMPTY") == 1
    assert now.value("pmxcfs_applied_bytes_total") == 1000
    assert now.value("pmxcfs_applied_operations_total") == 14
    assert now.value("pmxcfs_database_commit_duration_seconds_count") >= 10
    assert now.value("pmxcfs_database_sync_duration_seconds_count") == 1
    assert now.value("pmxcfs_database_log_written_bytes_total") >= 10 * PAGE_BYTES
    assert now.value("pmxcfs_tree_content_bytes") == 1000
    assert now.value("pmxcfs_tree_entries") == 5
    assert now.value("pmxcfs_locks") == 1
    assert now.value("pmxcfs_quorate") == 1
    assert now.value("pmxcfs_synced", group="tree") == 1
    assert now.value("pmxcfs_info", nodename="testnode", version="0.1.0") == 1
    assert now.value("process_resident_memory_bytes") > 1_000_000


def _texts() -> list[str]:
    """Return every expression of the dashboard and of the alerts, and the manual."""
    dashboard = json.loads((MONITORING / "grafana-dashboard.json").read_text())
    assert dashboard["panels"]
    texts = [target["expr"] for panel in dashboard["panels"] for target in _targets(panel)]
    manual = (MONITORING.parent / "OPERATIONS.md").read_text().partition("## Monitoring\n")[2]
    return [*texts, (MONITORING / "alerts.yml").read_text(), manual]


def _targets(panel: dict[str, Any]) -> list[dict[str, Any]]:
    targets: list[dict[str, Any]] = panel.get("targets", [])
    return targets


def test_dashboard_and_alerts_use_metrics_that_exist(measured: Measured) -> None:
    names = measured.read().names
    words = {
        word for text in _texts() for word in re.findall(r"\b(?:pmxcfs|process)_[a-z_]+\b", text)
    }
    assert len(words) > 25
    assert words - names == set()


def test_every_family_is_described_and_named_by_the_conventions(measured: Measured) -> None:
    names = {name for name in measured.read().names if name.startswith("pmxcfs_")}
    assert not [name for name in names if re.search(r"_(ms|us|ns|kb|mb|percent)(_|$)", name)]
