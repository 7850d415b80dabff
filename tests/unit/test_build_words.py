"""Who builds without the headers hears which they are, before anything is compiled."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def words_with(**environment: str) -> str:
    """Return what whoever builds is told."""
    ended = subprocess.run(
        [sys.executable, "setup.py", "--version"],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    return ended.stderr


def test_the_missing_libraries_are_named_with_what_installs_them() -> None:
    words = words_with(PKG_CONFIG_LIBDIR="/nonexistent")
    for package in ("libfuse3-dev", "libcpg-dev", "libqb-dev", "librrd-dev"):
        assert package in words.partition("apt-get install ")[2]
    assert " gcc" not in words


def test_a_missing_compiler_is_named() -> None:
    assert "apt-get install gcc libc6-dev\n" in words_with(CC="no-such-compiler -pthread")
