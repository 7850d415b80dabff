"""The package as a file."""

import subprocess
from pathlib import Path

from pmxcfs import __version__


def field(package: Path, name: str) -> str:
    return subprocess.run(
        ["dpkg-deb", "-f", package, name], capture_output=True, text=True, check=True
    ).stdout.strip()


def names(package: Path) -> list[str]:
    listed = subprocess.run(
        ["dpkg-deb", "-c", package], capture_output=True, text=True, check=True
    ).stdout
    return [line.split()[5] for line in listed.splitlines()]


def test_lintian_finds_no_error_and_no_warning(package: Path) -> None:
    ended = subprocess.run(
        ["lintian", "--allow-root", "--fail-on=error,warning", package],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout


def test_its_version_tells_release_and_revision(package: Path, release: str) -> None:
    number = {"bookworm": 12, "trixie": 13}[release]
    assert field(package, "Version").startswith(f"{__version__}+r")
    assert field(package, "Version").endswith(f"~deb{number}")


def test_it_needs_the_python_of_its_release_and_no_other_package_of_python(
    package: Path, release: str
) -> None:
    needed = [word.split()[0] for word in field(package, "Depends").split(", ")]
    python = {"bookworm": "python3.11", "trixie": "python3.13"}[release]
    assert [name for name in needed if name.startswith("python")] == [python]
    assert any(name.startswith("libfuse3-") for name in needed)


def test_it_has_no_bytecode_no_tests_and_no_trace_of_where_it_was_built(package: Path) -> None:
    assert [n for n in names(package) if n.endswith(".pyc") or "/_tests/" in n] == []
    environment = subprocess.run(
        f"dpkg-deb --fsys-tarfile '{package}' | tar -xO ./usr/lib/pmxcfs/pyvenv.cfg",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "home = /usr/bin" in environment
    assert str(package.parent) not in environment
