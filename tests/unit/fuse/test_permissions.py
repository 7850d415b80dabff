"""Modes by path and quorum, and what chmod and chown accept."""

from errno import EPERM

import pytest

from pmxcfs.errors import OperationError
from pmxcfs.fuse.permissions import (
    check_chmod,
    check_chown,
    link_permissions,
    permissions_of,
)
from pmxcfs.memdb.entry import EntryType

DIRECTORY, FILE = EntryType.DIRECTORY, EntryType.FILE
GID = 33


@pytest.mark.parametrize(
    ("path", "entry_type", "quorate", "not_quorate"),
    [
        (b"nodes", DIRECTORY, 0o755, 0o555),
        (b"priv", DIRECTORY, 0o700, 0o500),
        (b"nodes/n1/priv/sub", DIRECTORY, 0o700, 0o500),
        (b"user.cfg", FILE, 0o640, 0o440),
        (b"priv/shadow.cfg", FILE, 0o600, 0o400),
        (b"nodes/n1/openvz/101.mount", FILE, 0o740, 0o540),
        (b"vps.premount", FILE, 0o740, 0o540),
        (b"priv/7.stop", FILE, 0o700, 0o500),
        (b"x/0101.mount", FILE, 0o640, 0o440),
        (b"x/101.mounted", FILE, 0o640, 0o440),
        (b"101.conf", FILE, 0o640, 0o440),
        (b"nodes/101.mount", DIRECTORY, 0o755, 0o555),
    ],
)
def test_modes_follow_path_and_quorum(
    path: bytes, entry_type: EntryType, quorate: int, not_quorate: int
) -> None:
    assert permissions_of(path, entry_type, is_quorate=True) == quorate
    assert permissions_of(path, entry_type, is_quorate=False) == not_quorate


def test_links_show_the_quorum_in_their_write_bit() -> None:
    assert link_permissions(is_quorate=True) == 0o755
    assert link_permissions(is_quorate=False) == 0o555


@pytest.mark.parametrize(("path", "mode"), [(b"priv/a", 0o600), (b"a", 0o640), (b"d", 0o640)])
def test_chmod_accepts_the_one_mode_of_a_path(path: bytes, mode: int) -> None:
    check_chmod(path, mode)


@pytest.mark.parametrize(
    ("path", "mode"), [(b"priv/a", 0o640), (b"a", 0o600), (b"a", 0o755), (b"a", 0o4640)]
)
def test_chmod_refuses_every_other_mode(path: bytes, mode: int) -> None:
    with pytest.raises(OperationError) as refusal:
        check_chmod(path, mode)
    assert refusal.value.errno == EPERM


@pytest.mark.parametrize(("uid", "gid"), [(0, GID), (None, GID), (0, None), (None, None)])
def test_chown_accepts_the_owners_that_everything_has(uid: int | None, gid: int | None) -> None:
    check_chown(uid, gid, owner_gid=GID)


@pytest.mark.parametrize(("uid", "gid"), [(0, 0), (1, GID), (None, 0), (1, None)])
def test_chown_refuses_every_other_owner(uid: int | None, gid: int | None) -> None:
    with pytest.raises(OperationError) as refusal:
        check_chown(uid, gid, owner_gid=GID)
    assert refusal.value.errno == EPERM
