"""Which paths are private, however they are spelled."""

import pytest

from pmxcfs.memdb.paths import is_private


@pytest.mark.parametrize(
    "path",
    [b"priv", b"priv/x", b"priv/a/b", b"priv/new\nline", b"nodes/n1/priv", b"nodes/n1/priv/lock/x"],
)
def test_private_paths_are_private(path: bytes) -> None:
    assert is_private(path)


@pytest.mark.parametrize(
    "path",
    [
        b"//priv",
        b"priv/",
        b"priv//x",
        b"nodes//n1/priv/x",
        b"//nodes/n1///priv",
        b"nodes/n1//priv/",
    ],
)
def test_more_slashes_make_nothing_public(path: bytes) -> None:
    assert is_private(path)


@pytest.mark.parametrize(
    "path",
    [
        b"",
        b"/",
        b"private",
        b"priv.cfg",
        b"nodes/n1/privx",
        b"nodes/priv",
        b"nodes/n1/x/priv",
        b"x/priv",
        b"nodes/n1",
        b"nodes//priv",
        b"xnodes/n1/priv",
    ],
)
def test_paths_that_only_look_private_are_not(path: bytes) -> None:
    assert not is_private(path)
