"""``make install`` and ``make uninstall``, for everybody who has no Debian."""

import platform
import subprocess
from pathlib import Path

from tests.package.machines import BUILT, REPOSITORY, package_for


def make(target: str, root: Path, wheels: Path) -> None:
    subprocess.run(
        ["make", target, f"DESTDIR={root}", f"WHEELS={wheels}", "PYTHON=/usr/bin/python3"],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        timeout=300,
    )


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}


def test_uninstall_removes_what_install_brought_and_keeps_what_was_changed(tmp_path: Path) -> None:
    here = platform.freedesktop_os_release()["VERSION_CODENAME"]
    package_for(here)  # makes the wheels too
    wheels = BUILT / f"wheels-{here}"
    make("install", tmp_path, wheels)
    make("install", tmp_path, wheels)
    for name in ("pmxcfs", "pmxcfs-db", "pmxcfs-ctl"):
        assert (tmp_path / "usr/local/bin" / name).exists()
        assert (tmp_path / f"usr/local/share/man/man8/{name}.8").exists()
    unit = (tmp_path / "usr/local/lib/systemd/system/pve-cluster.service").read_text()
    assert "ExecStart=/usr/local/bin/pmxcfs " in unit
    make("uninstall", tmp_path, wheels)
    assert files(tmp_path) == set()

    make("install", tmp_path, wheels)
    (tmp_path / "etc/default/pmxcfs").write_text('DAEMON_OPTS="--debug"\n')
    make("uninstall", tmp_path, wheels)
    assert files(tmp_path) == {"etc/default/pmxcfs"}
