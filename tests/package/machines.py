"""New Debian machines in namespaces, with systemd as process 1, and nothing of ours on them."""

import hashlib
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
BUILT = REPOSITORY / "build" / "deb"
WITHIN_S = 60
FETCHED = "corosync fish zsh"
"""What else can be installed on the machines, which have no network."""
ENVIRONMENT = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}


class Machine:
    """A machine that runs, or can be started again on the same disk.

    Args:
        disk: the directory that is its root.
        name: its host's name.
    """

    def __init__(self, disk: Path, name: str) -> None:
        self.disk = disk
        self.name = name
        self._process: subprocess.Popen[str] | None = None
        self.first_process = 0

    def start(self) -> None:
        """Boot, and wait until systemd has started all it has to start."""
        self._process = subprocess.Popen(
            [REPOSITORY / "packaging" / "machine.sh", self.disk, self.name],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.first_process = int(self._process.stdout.readline())
        self.until("systemctl is-system-running | grep -q -e running -e degraded")

    def stop(self) -> None:
        """End it as a power switch does."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(WITHIN_S)
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def remove(self) -> None:
        """End it, and remove its disk."""
        self.stop()
        shutil.rmtree(self.disk)

    def try_to(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a shell command as root."""
        enter = ["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--wdns=/"]
        return subprocess.run(
            ["nsenter", f"--target={self.first_process}", *enter, "sh", "-c", command],
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def run(self, command: str) -> str:
        """Run a shell command that must succeed; return what it prints."""
        ended = self.try_to(command)
        assert ended.returncode == 0, f"{command}: {ended.returncode}\n{ended.stdout}{ended.stderr}"
        return ended.stdout.strip()

    def until(self, command: str) -> float:
        """Run a shell command until it succeeds; return how long that took."""
        began_s = time.monotonic()
        while (ended := self.try_to(command)).returncode != 0:
            taken_s = time.monotonic() - began_s
            assert taken_s < WITHIN_S, f"{command}: {ended.stdout}{ended.stderr}{self._journal()}"
            time.sleep(0.1)
        return time.monotonic() - began_s

    def ip(self, *words: str) -> None:
        """Change its network, with the tool of this machine."""
        network = f"--net=/proc/{self.first_process}/ns/net"
        subprocess.run(["nsenter", network, "ip", *words], check=True)

    def unit(self, name: str) -> str:
        """Return a property of pve-cluster.service."""
        return self.run(f"systemctl show --value -p {name} pve-cluster.service")

    def _journal(self) -> str:
        return self.try_to("journalctl -n 30 --no-pager").stdout


def wire(machines: Sequence[Machine], addresses: Sequence[str]) -> None:
    """Put running machines into one network, by a bridge on the first of them."""
    hub = machines[0]
    hub.ip("link", "add", "bridge", "up", "type", "bridge")
    hub.ip("address", "add", f"{addresses[0]}/24", "dev", "bridge")
    for number, machine in enumerate(machines[1:], start=1):
        end = ("type", "veth", "peer", "name", "eth0", "netns", str(machine.first_process))
        hub.ip("link", "add", f"port{number}", "master", "bridge", "up", *end)
        machine.ip("address", "add", f"{addresses[number]}/24", "dev", "eth0")
        machine.ip("link", "set", "eth0", "up")


def package_for(release: str) -> Path:
    """Build the package of what is committed; return the file."""
    build = REPOSITORY / "packaging" / "build-deb.sh"
    ended = subprocess.run(
        [build, release], capture_output=True, text=True, timeout=3600, check=False
    )
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-4000:]
    return Path(ended.stdout.split()[-1])


def new_machine(release: str, package: Path, disk: Path, name: str) -> Machine:
    """Return a bare Debian that is not started yet, with the package in /root."""
    subprocess.run(["cp", "-a", _base(release, package), disk], check=True)
    shutil.copy(package, disk / "root" / "pmxcfs.deb")
    (disk / "etc" / "hostname").write_text(f"{name}\n")
    return Machine(disk, name)


def _base(release: str, package: Path) -> Path:
    """Return a bare Debian as a directory: what is needed is downloaded, not installed."""
    needs = subprocess.run(
        ["dpkg-deb", "-f", package, "Depends"], capture_output=True, check=True
    ).stdout
    digest = hashlib.sha256(needs + FETCHED.encode()).hexdigest()[:8]
    base = BUILT / f"bare-{release}-{digest}"
    if base.exists():
        return base
    fetch = (
        'cp "$PACKAGE" "$1/root/pmxcfs.deb"; '
        'chroot "$1" apt-get -q -y --no-install-recommends --download-only install '
        f"/root/pmxcfs.deb {FETCHED}"
    )
    subprocess.run(
        ["mmdebstrap", "--variant=minbase", "--include=systemd,systemd-sysv,dbus",
         "--skip=cleanup/apt", f"--customize-hook={fetch}", release, f"{base}.new"],
        env={**ENVIRONMENT, "PACKAGE": str(package)},
        stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=1200,
    )  # fmt: skip
    return Path(f"{base}.new").rename(base)
