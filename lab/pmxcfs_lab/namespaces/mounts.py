"""What a node sees of the file system: private where nodes differ, the host's where they do not.

Runs inside the node's new mount namespace, before anything else. Nothing here is seen outside, and
all of it is gone when the node's last process is.
"""

import subprocess
from pathlib import Path

SCRATCH = Path("/run/.lab")
"""Upper layers and the way back to the node's own folder; inside the node's private /run."""

BINDS = {
    "pve-cluster": Path("/var/lib/pve-cluster"),
    "corosync-lib": Path("/var/lib/corosync"),
    "corosync-etc": Path("/etc/corosync"),
    "log": Path("/var/log"),
}
"""Folder of the node's state on the host -> where the node has it. These survive a restart."""


def make_private(state: Path, *, overlay: bool) -> None:
    """Cover /run, /dev/shm, /etc, /var/lib and /var/log.

    Args:
        state: the node's folder on the host; holds the folders named in BINDS.
        overlay: try overlayfs for /etc and /var/lib; if not, or if the kernel refuses, they become
            folders of links to the host's entries, which are read-only then.

    Raises:
        subprocess.CalledProcessError: the kernel refused a mount.
    """
    _mount("-t", "tmpfs", "-o", "mode=755,size=256m", "tmpfs", "/run")
    _mount("-t", "tmpfs", "-o", "mode=1777,size=512m", "tmpfs", "/dev/shm")
    own = SCRATCH / "state"
    own.mkdir(parents=True)
    SCRATCH.chmod(0o711)
    _mount("--bind", str(state), str(own))
    for folder in (Path("/etc"), Path("/var/lib")):
        if not (overlay and _cover_with_overlay(folder)):
            _cover_with_links(folder)
    for name, target in BINDS.items():
        _ensure_folder(target)
        _mount("--bind", str(own / name), str(target))
    _ensure_folder(Path("/etc/pve"))
    Path("/run/lock").mkdir(mode=0o1777)


def replace_text(path: Path, text: str) -> None:
    """Write a file of the node's own where the host may have one: never through a link to it."""
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(0o644)


def _cover_with_overlay(folder: Path) -> bool:
    layers = SCRATCH / folder.name
    (layers / "upper").mkdir(parents=True)
    (layers / "work").mkdir()
    (layers / "upper").chmod(0o755)
    options = f"lowerdir={folder},upperdir={layers}/upper,workdir={layers}/work"
    mount = ["mount", "-t", "overlay", "-o", options, "overlay", str(folder)]
    return subprocess.run(mount, check=False).returncode == 0


def _cover_with_links(folder: Path) -> None:
    original = SCRATCH / f"host-{folder.name}"
    original.mkdir(parents=True)
    _mount("--bind", str(folder), str(original))
    _mount("-o", "remount,bind,ro", str(original))
    names = [entry.name for entry in original.iterdir()]
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", str(folder))
    for name in names:
        (folder / name).symlink_to(original / name)


def _ensure_folder(path: Path) -> None:
    """Make an empty folder of the node's own; a link to the host's would be mounted over there."""
    if path.is_symlink():
        path.unlink()
    path.mkdir(mode=0o755, exist_ok=True)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)
