"""Who builds without the headers hears which they are, before anything is compiled."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_missing_libraries_are_named_with_what_installs_them() -> None:
    ended = subprocess.run(
        [sys.executable, "setup.py", "--version"],
        cwd=ROOT,
        env={**os.environ, "PKG_CONFIG_LIBDIR": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    for package in ("libfuse3-dev", "libcpg-dev", "libqb-dev", "librrd-dev"):
        assert package in ended.stderr
    assert "apt-get install gcc" in ended.stderr
    assert "Traceback" not in ended.stderr
