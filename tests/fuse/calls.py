"""System calls as the tests want them."""

import os
from pathlib import Path
from typing import AnyStr

import pytest


def put(path: Path, data: bytes, offset: int, flags: int = os.O_WRONLY) -> int:
    """Do one write(2) at an offset."""
    descriptor = os.open(path, flags, 0o640)
    try:
        return os.pwrite(descriptor, data, offset)
    finally:
        os.close(descriptor)


def refusal(call: object, *arguments: object) -> int:
    """Return the errno with which a call was refused."""
    assert callable(call)
    with pytest.raises(OSError) as error:  # noqa: PT011  (the caller compares the errno)
        call(*arguments)
    assert error.value.errno is not None
    return error.value.errno


def listed(directory: AnyStr | os.PathLike[AnyStr] | int) -> list[AnyStr]:
    """Return the names in a directory, sorted."""
    # os.listdir, since a directory can be named by bytes and by a descriptor too.
    names: list[AnyStr] = os.listdir(directory)  # type: ignore[assignment]  # noqa: PTH208
    return sorted(names)
