"""The same client at both daemons: what the reference answers, ours answers, errors included.

Needs the reference's executable: PMXCFS_REFERENCE=/path/to/its/pmxcfs. Left out is what the
reference reads beyond the end of a request, and what it does worse: those have tests of their own.
"""

import json
import os
from collections.abc import Sequence
from errno import EACCES, EPERM
from pathlib import Path

import pytest
from pmxcfs_lab.eventually import eventually
from pmxcfs_lab.lab import Lab

from .conftest import MakeLab
from .where import PYTHON

pytestmark = pytest.mark.needs("reference")

OURS, THEIRS = "node1", "node2"
WITHIN_S = 60.0

WWW_DATA, NOBODY, ROOT = 33, 65534, 0
SET_STATUS, GET_STATUS, FILE, LOG, GET_LOG, PROPERTY, TOKEN, PROPERTIES = 4, 5, 6, 7, 8, 11, 12, 13

Question = tuple[int, bytes]

CONFIG = (
    b"name: first\nname: second\nname: third\nlock:\ttab \n tags: no\nblank: \n"
    b'quote: a"b\\c\nempty:\nend: 1\n[snap]\nsnapshot: 1\n'
)


@pytest.fixture(scope="module")
def lab(make_lab: MakeLab) -> Lab:
    lab = make_lab(2, binaries={THEIRS: os.environ["PMXCFS_REFERENCE"]})
    for directory in ("priv", "nodes/x/priv", "nodes/node1/qemu-server"):
        run(lab, "mkdir", "-p", f"/etc/pve/{directory}")
    for path, content in (
        ("file", b"content"),
        ("empty", b""),
        ("priv/token.cfg", b"root@pam!a 1\nroot@pam!b 2"),
        ("nodes/x/priv/key", b"secret"),
        ("nodes/node1/qemu-server/100.conf", CONFIG),
        ("nodes/node1/qemu-server/101.conf", b""),
        ("nodes/node1/qemu-server/102.conf", b"name: unended"),
    ):
        run(lab, "sh", "-c", 'cat > "$0"', f"/etc/pve/{path}", stdin=content)
    lab.trees_are_equal()
    return lab


def run(lab: Lab, *command: str, stdin: bytes = b"") -> None:
    ended = lab.exec(OURS, *command, stdin=stdin)
    assert ended.exit_status == 0, ended.stderr


def ask(
    lab: Lab, node: str, questions: Sequence[Question], uid: int = ROOT, gid: int = ROOT
) -> list[tuple[int, bytes]] | int:
    """Return errno and payload of each answer, or the errno with which we are not let in."""
    program = Path(__file__).with_name("ipc_client.py").read_text()
    asked = json.dumps([(number, payload.hex()) for number, payload in questions]).encode()
    arguments = ("ask", "pve2", str(uid), str(gid))
    answer = lab.exec(node, PYTHON, "-c", program, *arguments, stdin=asked)
    assert answer.exit_status == 0, answer.stderr
    answers = json.loads(answer.stdout)
    if isinstance(answers, int):
        return answers
    return [(error, bytes.fromhex(payload)) for error, payload in answers]


def name(text: bytes) -> bytes:
    return text.ljust(256, b"\0")


def vmid(number: int) -> bytes:
    return number.to_bytes(4, "little")


SWEEP = [
    (number, bytes(size))
    for number in (*range(15), 99)
    for size in (0, 1, 4, 5, 15, 16, 17, 255, 256, 257, 511, 512, 513)
    if not (number in (PROPERTY, PROPERTIES) and size < 6) and not (number == LOG and size >= 4)
]

EDGES = [
    *((FILE, path) for path in (b"file\0", b"//file\0", b"file/\0", b"fileX", b"\0", b"x", b".\0")),
    *((FILE, path) for path in (b"nodes\0", b"file/x\0", b"empty\0", b"none\0", b"fi\0le\0")),
    *((FILE, path) for path in (b"priv/token.cfg\0", b"nodes/x/priv/key\0", b"local/x\0")),
    *((TOKEN, text) for text in (b"root@pam!a 1\0", b"root@pam!b 2\0", b"root@pam!a 1", b"\0")),
    *((TOKEN, text) for text in (b"a\nb\0", b"a\0b\0", b"root@pam!a \0", b"\n\0")),
    *((PROPERTY, vmid(100) + prop + b"\0") for prop in (b"name", b"lock", b"tags", b" tags", b"")),
    *((PROPERTY, vmid(100) + prop + b"\0") for prop in (b"quote", b"empty", b"blank", b"snapshot")),
    *((PROPERTY, vmid(100) + prop) for prop in (b"namX", b"n", b"end\0x", b"Name\0")),
    *((PROPERTY, vmid(number) + b"name\0") for number in (1, 99, 101, 102, 103, 2**32 - 1)),
    *((PROPERTY, vmid(number)) for number in (1, 100, 103)),
    (PROPERTIES, vmid(100) + b"\3name\0lock\0end\0"),
    (PROPERTIES, vmid(100) + b"\2end\0name\0"),
    (PROPERTIES, vmid(100) + b"\2name\0name\0"),
    (PROPERTIES, vmid(100) + b"\2name\0"),
    (PROPERTIES, vmid(100) + b"\1name\0end\0"),
    (PROPERTIES, vmid(100) + b"\1name"),
    (PROPERTIES, vmid(100) + b"\1Name\0"),
    (PROPERTIES, vmid(100) + b"\2name\0\0"),
    (PROPERTIES, vmid(7) + b"\1name\0"),
    (PROPERTIES, vmid(103) + b"\0name\0"),
    (SET_STATUS, name(b"kv/big") + bytes(32_769)),
    (SET_STATUS, name(b"nodeip") + b"no NUL"),
    (SET_STATUS, name(b"nodeip") + bytes(257)),
    (GET_STATUS, name(b"kv/none") + name(b"node1")),
    (GET_STATUS, name(b"kv/none") + name(b"nowhere")),
    (LOG, b"\6\2\2i\0t\0"),
    (LOG, b"\6\2\2ixt\0m\0"),
    (LOG, b"\6\2\2i\0txm\0"),
    (LOG, b"\6\377\2i\0t\0m\0"),
    (LOG, b"\10\2\2i\0t\0m\0"),
]


@pytest.mark.parametrize("gid", [ROOT, WWW_DATA])
@pytest.mark.parametrize("questions", [SWEEP, EDGES], ids=["sweep", "edges"])
def test_both_answer_alike(lab: Lab, questions: list[Question], gid: int) -> None:
    ours, theirs = (ask(lab, node, questions, gid, gid) for node in (OURS, THEIRS))
    assert isinstance(ours, list)
    assert isinstance(theirs, list)
    for question, our, their in zip(questions, ours, theirs, strict=True):
        assert our[0] == their[0], question
        if question[0] in (FILE, PROPERTY, PROPERTIES, TOKEN):
            assert our[1] == their[1], question


def test_what_is_told_one_daemon_the_other_answers(lab: Lab) -> None:
    for teller, other in ((OURS, THEIRS), (THEIRS, OURS)):
        value = f"of {teller}\0".encode()
        assert ask(lab, teller, [(SET_STATUS, name(b"kv/told") + value)]) == [(0, b"")]
        question = (GET_STATUS, name(b"kv/told") + name(teller.encode()))

        def check(other: str = other, question: Question = question, value: bytes = value) -> None:
            assert ask(lab, other, [question]) == [(0, value)]

        eventually(check, within_s=WITHIN_S)


def test_the_reference_lets_the_group_read_private_keys_and_we_do_not(lab: Lab) -> None:
    question = [(FILE, b"nodes//x/priv/key\0")]
    assert ask(lab, THEIRS, question, WWW_DATA, WWW_DATA) == [(0, b"secret")]
    assert ask(lab, OURS, question, WWW_DATA, WWW_DATA) == [(EPERM, b"")]


def test_strangers_get_an_error_that_has_a_name(lab: Lab) -> None:
    assert ask(lab, THEIRS, [], NOBODY, NOBODY) == -1
    assert ask(lab, OURS, [], NOBODY, NOBODY) == EACCES
