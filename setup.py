"""Build the cffi extensions, and write the revision down; everything else is in pyproject.toml."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

LIBRARIES = {
    "fuse3": "libfuse3-dev",
    "libcpg": "libcpg-dev",
    "libquorum": "libquorum-dev",
    "libcmap": "libcmap-dev",
    "libqb": "libqb-dev",
    "librrd": "librrd-dev",
}
"""What pkg-config calls them, and Debian's packages with their headers."""


def missing() -> list[str]:
    """Return the Debian packages without which the extensions and our dependencies don't build."""
    compiler = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    packages = [] if shutil.which(compiler.split()[0]) else ["gcc", "libc6-dev"]
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        packages.append("python3-dev")
    if not shutil.which("pkg-config"):
        return [*packages, "pkg-config", *LIBRARIES.values()]
    found = {name: subprocess.call(["pkg-config", "--exists", name]) == 0 for name in LIBRARIES}
    return [*packages, *(package for name, package in LIBRARIES.items() if not found[name])]


def check() -> None:
    """End with a clear word if something is missing."""
    if packages := missing():
        sys.exit(
            "pmxcfs needs a C compiler and the headers of Python, libfuse 3, corosync, libqb and "
            "librrd. Missing here, by Debian's names:\n"
            f"    apt-get install {' '.join(packages)}\n"
            "docs/INSTALL.md has the names of other systems, and ways without a compiler."
        )


def revision() -> str | None:
    """Return what was built: as the packager says, else as git does, else nothing."""
    if given := os.environ.get("PMXCFS_REVISION"):
        return given
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    if not Path(".git").exists() or not shutil.which("git"):
        return None
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


class BuildWithRevision(build_py):
    """Adds ``pmxcfs._revision`` to what is built; a checkout that is used in place asks git."""

    def run(self) -> None:
        """Build."""
        super().run()
        found = revision()
        if found and not self.editable_mode:
            path = Path(self.build_lib, "pmxcfs", "_revision.py")
            path.write_text(f'"""The commit that was built."""\n\nREVISION = {found!r}\n')


if __name__ == "__main__":
    check()
    setup(
        cffi_modules=["pmxcfs/ffi_build.py:ffibuilder", "pmxcfs/fuse_build.py:ffibuilder"],
        cmdclass={"build_py": BuildWithRevision},
    )
