"""The IPC service of a real daemon, asked through libqb's own client library."""

import json
import time
from errno import EACCES, ECHRNG, EFBIG, EINVAL, EIO, ENOENT, ENOMEM, EPERM
from pathlib import Path

import pytest

from tests.fuse.daemon import NODE_NAME, Daemon
from tests.fuse.tools import ask_as, connect

WWW_DATA, NOBODY, ROOT = 33, 65534, 0

VERSION, MEMBERS, GUESTS, SET_STATUS, GET_STATUS, FILE, LOG, GET_LOG = range(1, 9)
METRICS, PROPERTY, TOKEN, PROPERTIES = range(10, 14)


def name(text: bytes) -> bytes:
    return text.ljust(256, b"\0")


def logged(text: bytes, priority: int = 6, ident: bytes = b"root@pam\0") -> bytes:
    return bytes([priority, len(ident), 4]) + ident + b"tag\0" + text


def vmid(number: int) -> bytes:
    return number.to_bytes(4, "little")


@pytest.fixture
def guest(mount: Path) -> int:
    """Return a guest that has a configuration."""
    directory = mount / "nodes" / NODE_NAME / "qemu-server"
    if not directory.exists():
        directory.mkdir(parents=True)
    (directory / "100.conf").write_text('name: vm100\nmemory:  512 \ntags: "x"\n[old]\nname: no\n')
    return 100


def test_the_texts_are_those_of_the_mount(daemon: Daemon, guest: int) -> None:
    client = connect(daemon)
    files = {VERSION: ".version", MEMBERS: ".members", GUESTS: ".vmlist"}
    for number, file in files.items():
        assert client.ask(number) == (0, (daemon.mountpoint / file).read_bytes())
        assert client.ask(number, b"x") == (EINVAL, b"")
    client.close()


def test_a_value_is_there_until_it_is_removed(daemon: Daemon) -> None:
    client = connect(daemon)
    assert client.ask(SET_STATUS, name(b"kv/test") + b"value\0") == (0, b"")
    for node in (b"", NODE_NAME.encode()):
        assert client.ask(GET_STATUS, name(b"kv/test") + name(node)) == (0, b"value\0")
    kvstore = json.loads((daemon.mountpoint / ".version").read_bytes())["kvstore"]
    assert kvstore[NODE_NAME]["kv/test"] == 0
    assert client.ask(SET_STATUS, name(b"kv/test")) == (0, b"")
    assert client.ask(GET_STATUS, name(b"kv/test") + name(b"")) == (ENOENT, b"")
    assert client.ask(GET_STATUS, name(b"kv/test") + name(b"other")) == (ENOENT, b"")
    client.close()


def test_what_is_logged_is_shown_of_its_user(daemon: Daemon) -> None:
    client = connect(daemon)
    assert client.ask(LOG, logged(b'quote "\n\0', ident=b"ipc@test\0")) == (0, b"")
    error, text = client.ask(GET_LOG, vmid(5) + bytes(12) + b"ipc@test\0")
    assert error == 0
    entry = json.loads(text)["data"][0]
    assert (entry["user"], entry["tag"], entry["msg"]) == ("ipc@test", "tag", 'quote "#010')
    assert entry["node"] == NODE_NAME
    assert client.ask(LOG, logged(b"not at all\0", priority=8)) == (0, b"")
    assert b"not at all" not in client.ask(GET_LOG, vmid(0) + bytes(12) + b"\0")[1]
    client.close()


def test_files_are_read_whole(daemon: Daemon, place: Path) -> None:
    (place / "file").write_bytes(b"content")
    (place / "empty").write_bytes(b"")
    client, here = connect(daemon), place.name.encode()
    assert client.ask(FILE, here + b"/file\0") == (0, b"content")
    assert client.ask(FILE, b"//" + here + b"//file\0") == (0, b"content")
    assert client.ask(FILE, here + b"/empty\0") == (0, b"")
    assert client.ask(FILE, here + b"/fileX") == (0, b"content")  # the last byte counts as NUL
    for path in (here + b"/none\0", here + b"\0", b"\0"):
        assert client.ask(FILE, path) == (ENOENT, b"")
    assert client.ask(FILE) == (EINVAL, b"")
    client.close()


def test_what_was_written_is_what_every_client_reads_from_then_on(
    daemon: Daemon, place: Path
) -> None:
    clients, path = [connect(daemon), connect(daemon)], place.name.encode() + b"/file\0"
    for number in range(300):
        (place / "file").write_bytes(b"%d" % number)
        for client in clients:
            for _ in range(2):
                assert client.ask(FILE, path) == (0, b"%d" % number)
    (place / "file").unlink()
    assert [client.ask(FILE, path) for client in clients] == [(ENOENT, b"")] * 2
    for client in clients:
        client.close()


def test_properties_of_guests_are_found(daemon: Daemon, guest: int) -> None:
    client, found = connect(daemon), b'{\n"100":{"name": "vm100","memory": "512"}\n}\n'
    assert client.ask(PROPERTIES, vmid(guest) + b"\2name\0memory\0") == (0, found)
    assert client.ask(PROPERTY, vmid(0) + b"tags\0") == (0, b'{\n"100":{"tags": "\\"x\\""}\n}\n')
    assert client.ask(PROPERTY, vmid(guest) + b"none\0") == (0, b"{\n\n}\n")
    client.close()


def test_a_guest_without_configuration_is_an_error_alone(daemon: Daemon, guest: int) -> None:
    (daemon.mountpoint / "nodes" / NODE_NAME / "qemu-server" / "101.conf").write_bytes(b"")
    client = connect(daemon)
    assert client.ask(PROPERTY, vmid(101) + b"name\0") == (EIO, b"")
    assert client.ask(PROPERTY, vmid(0) + b"name\0") == (0, b'{\n"100":{"name": "vm100"}\n}\n')
    client.close()


def test_tokens_are_verified(daemon: Daemon) -> None:
    (daemon.mountpoint / "priv").mkdir(exist_ok=True)
    (daemon.mountpoint / "priv/token.cfg").write_text("root@pam!a 1234\nroot@pam!b 5678\n")
    client = connect(daemon)
    assert client.ask(TOKEN, b"root@pam!b 5678\0") == (0, b"")
    assert client.ask(TOKEN, b"root@pam!b 567\0") == (ENOENT, b"")
    assert client.ask(TOKEN, b"root@pam!b 5678") == (EINVAL, b"")
    client.close()


def test_metrics_are_shown_with_a_nul_and_then_without(daemon: Daemon) -> None:
    daemon.rrd_dir.mkdir(exist_ok=True)
    client, key = connect(daemon), name(b"rrd/pve2.3-vm/100")
    sample = b"1000:vm:running:0:%d:2:0.1:512:256:1000:10:1:2:3:4" % time.time()
    assert client.ask(SET_STATUS, key + sample + b"\0") == (0, b"")
    texts = {client.ask(METRICS)[1].rstrip(b"\0") for _ in range(2)}
    assert len(texts) == 1
    assert client.ask(SET_STATUS, key + sample) == (ENOMEM, b"")
    client.close()


@pytest.mark.parametrize("number", [-1, 0, 9, 14, 99, 2**31 - 1])
def test_other_numbers_mean_nothing(daemon: Daemon, number: int) -> None:
    client = connect(daemon)
    assert client.ask(number, b"payload") == (ECHRNG, b"")
    client.close()


def test_the_group_reads_and_changes_nothing(daemon: Daemon, guest: int) -> None:
    changes = [(SET_STATUS, b""), (LOG, b""), (SET_STATUS, name(b"kv/a") + b"1\0")]
    reads = [
        (VERSION, b""),
        (GET_LOG, vmid(1) + bytes(12) + b"\0"),
        (PROPERTY, vmid(100) + b"name\0"),
    ]
    answers = ask_as(WWW_DATA, WWW_DATA, daemon, [*changes, *reads])
    assert isinstance(answers, list)
    assert answers[:3] == [(EPERM, b"")] * 3  # before any look at the sizes
    assert [error for error, _ in answers[3:]] == [0, 0, 0]


@pytest.mark.parametrize("uid", [ROOT, WWW_DATA, NOBODY])
def test_no_spelling_opens_a_private_file_to_the_group(daemon: Daemon, uid: int) -> None:
    for directory in (daemon.mountpoint / "priv", daemon.mountpoint / "nodes/x/priv"):
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "key").write_bytes(b"secret")
    paths = [
        *(b"priv/key", b"/priv/key", b"//priv//key", b"priv/key/", b"priv", b"priv/none"),
        *(b"nodes/x/priv/key", b"nodes//x/priv/key", b"//nodes/x//priv/key", b"nodes/x/priv//key"),
    ]
    questions = [(FILE, path + b"\0") for path in paths]
    assert ask_as(uid, WWW_DATA, daemon, questions) == [(EPERM, b"")] * len(paths)
    client = connect(daemon)
    for path in paths:
        assert client.ask(FILE, path + b"\0") in ((0, b"secret"), (ENOENT, b""))
    client.close()


@pytest.mark.parametrize(("uid", "gid"), [(NOBODY, NOBODY), (ROOT, NOBODY), (WWW_DATA, ROOT)])
def test_nobody_else_is_let_in(daemon: Daemon, uid: int, gid: int) -> None:
    assert ask_as(uid, gid, daemon, [(VERSION, b"")]) == EACCES


def test_a_large_response_needs_a_large_buffer_and_nothing_breaks(
    daemon: Daemon, place: Path
) -> None:
    content = bytes(range(256)) * 4096
    (place / "large").write_bytes(content)
    (place / "fits").write_bytes(content[:-24])
    client, here = connect(daemon), place.name.encode()
    assert client.ask(FILE, here + b"/large\0") == (EFBIG, b"")
    assert client.ask(FILE, here + b"/fits\0") == (0, content[:-24])
    client.close()
    client = connect(daemon, 2 << 20)
    assert client.ask(FILE, here + b"/large\0") == (0, content)
    client.close()


def test_a_buffer_beyond_reason_is_refused(daemon: Daemon) -> None:
    with pytest.raises(OSError, match="cannot connect") as refusal:
        connect(daemon, 64 << 20)
    assert refusal.value.errno == EINVAL


def test_values_have_their_limit(daemon: Daemon) -> None:
    client = connect(daemon)
    assert client.ask(SET_STATUS, name(b"kv/big") + bytes(32_768)) == (0, b"")
    assert client.ask(GET_STATUS, name(b"kv/big") + name(b"")) == (0, bytes(32_768))
    assert client.ask(SET_STATUS, name(b"kv/big") + bytes(32_769)) == (EFBIG, b"")
    assert client.ask(SET_STATUS, name(b"kv/big")) == (0, b"")
    client.close()
