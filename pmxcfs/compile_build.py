"""Compiles what every change runs through, with mypyc; the daemon then prefers it to the sources.

    python -m pmxcfs.compile_build

Puts the extensions into ``pmxcfs/_compiled``, with the fingerprint of the sources that they were
made of. Tests and tools run the sources; see ``pmxcfs.compiled``.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from pmxcfs.compiled import DIRECTORY, FINGERPRINT, PACKAGE, fingerprint, is_current, sources
from pmxcfs.native_values import spell_out

_SETUP = """
from mypyc.build import mypycify
from setuptools import setup

setup(name="compiled", ext_modules=mypycify({arguments!r}, opt_level="1", debug_level="0",
    group_name="pmxcfs"))
"""
"""With -O2 the compiler takes half as long again, and nothing that was measured became faster."""

_OPTIONS = ("--config-file=", "--ignore-missing-imports", "--explicit-package-bases")


def main() -> None:
    """Compile unless that was done, and put the result in its place as the last step."""
    if is_current():
        return
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        shutil.copytree(
            PACKAGE, root / PACKAGE.name, ignore=shutil.ignore_patterns("*.so", "_comp*")
        )
        modules = [str(path.relative_to(PACKAGE.parent)) for path in sources()]
        for module in modules:
            (root / module).write_text(spell_out((root / module).read_text()))
        (root / "setup.py").write_text(_SETUP.format(arguments=[*_OPTIONS, *modules]))
        command = [sys.executable, "setup.py", "build_ext", "--build-lib", "made"]
        environment = {**os.environ, "MYPYPATH": ""}
        subprocess.run(command, cwd=root, env=environment, check=True)
        made = root / "made"
        _try(made)
        (made / FINGERPRINT).write_text(fingerprint())
        shutil.rmtree(DIRECTORY, ignore_errors=True)
        shutil.copytree(made, DIRECTORY)


def _try(made: Path) -> None:
    """Import the result once: what cannot be imported is not to be found by a daemon."""
    program = f"import sys; sys.path.insert(0, {str(made)!r}); import pmxcfs__mypyc"
    subprocess.run([sys.executable, "-c", program], check=True)


if __name__ == "__main__":
    main()
