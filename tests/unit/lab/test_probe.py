"""What a probe reads: corosync's words, the status socket, the tree below a mount."""

import hashlib
import json
import socket
import threading
from pathlib import Path

import pytest
from pmxcfs_lab import probe

QUORATE = """\
Quorum information
------------------
Date:             Sun Nov 22 18:59:28 2026
Quorum provider:  corosync_votequorum
Nodes:            2
Node ID:          2
Ring ID:          1.d
Quorate:          Yes

Votequorum information
----------------------
Expected votes:   3
Highest expected: 3
Total votes:      2
Quorum:           2
Flags:            Quorate

Membership information
----------------------
    Nodeid      Votes Name
         1          1 10.97.0.1
         2          1 10.97.0.2 (local)
"""


def test_quorum_and_members_are_read_from_the_quorum_tool() -> None:
    assert probe.parse_quorumtool(QUORATE) == {"quorate": True, "members": [1, 2]}
    lost = QUORATE.replace("Quorate:          Yes", "Quorate:          No")
    assert probe.parse_quorumtool(lost) == {"quorate": False, "members": [1, 2]}


@pytest.mark.parametrize("text", ["", "Cannot initialize CMAP service\n", "Nodes: 3\n"])
def test_a_corosync_that_does_not_answer_has_no_status(text: str) -> None:
    assert probe.parse_quorumtool(text) is None


def test_every_entry_but_the_nodes_own_views_is_seen(tmp_path: Path) -> None:
    (tmp_path / "nodes" / "node1").mkdir(parents=True)
    (tmp_path / "nodes" / "node1" / "local").write_bytes(b"a file of that name below the root")
    (tmp_path / "local").symlink_to("nodes/node1")
    (tmp_path / ".members").write_text("{}")
    (tmp_path / "a").write_bytes(b"text")

    seen = probe.tree_entries(tmp_path)

    assert seen.keys() == {"nodes", "nodes/node1", "nodes/node1/local", "a"}
    assert seen["a"]["sha256"] == hashlib.sha256(b"text").hexdigest()
    assert seen["a"]["size"] == 4
    assert "sha256" not in seen["nodes"]


@pytest.mark.parametrize(
    ("line", "expected"), [(b'{"mode": "cluster"}\n', {"mode": "cluster"}), (b"", None)]
)
def test_the_status_socket_is_read_up_to_the_end_of_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: bytes, expected: object
) -> None:
    path = tmp_path / "status.sock"
    monkeypatch.setattr(probe, "STATUS_SOCKET", path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(line)

        thread = threading.Thread(target=answer)
        thread.start()
        assert probe.daemon_status() == expected
        thread.join()


def test_no_socket_means_no_daemon_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "STATUS_SOCKET", tmp_path / "none")
    assert probe.daemon_status() is None


def test_an_empty_folder_shows_no_mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "MOUNT", tmp_path)
    assert probe.mount_status() is None


def test_quorum_and_members_are_read_from_any_daemons_mount(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "MOUNT", tmp_path)
    (tmp_path / "local").symlink_to("nodes/node1")
    nodelist = {"node1": {"id": 1, "online": 1}}
    (tmp_path / ".members").write_text(json.dumps({"nodename": "node1", "nodelist": nodelist}))
    assert probe.mount_status() == {"quorate": True, "members": nodelist}
