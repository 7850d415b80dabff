"""What the command line decides, as a frozen value."""

import enum
from dataclasses import dataclass
from pathlib import Path

MOUNTPOINT = Path("/etc/pve")
STATE_DIR = Path("/var/lib/pve-cluster")
RUN_DIR = Path("/run/pve-cluster")
COROSYNC_CONF = Path("/etc/corosync/corosync.conf")
IPC_NAME = "pve2"
RRD_DIR = Path("/var/lib/rrdcached/db")
RRDCACHED_SOCKET = Path("/var/run/rrdcached.sock")
FSYNC_WAIT_S = 10.0
HISTORY_NAME = "history.db"


@dataclass(frozen=True, slots=True)
class LocalAddress:
    """An IP address that only this machine can reach, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class FuseBinding(enum.StrEnum):
    """What stands between us and the kernel's side of the mount."""

    LOWLEVEL = "lowlevel"
    PYFUSE3 = "pyfuse3"


@dataclass(frozen=True, slots=True)
class Options:
    """The daemon's settings; the paths default to the reference's.

    ``node_name`` is the host name up to its first dot unless given, as ``has_given_name`` tells.
    ``fsync_wait_s`` is how long fsync waits for a majority of the cluster; with 0 it never does.
    ``history_mib`` is how large the history of changes may become; with 0 there is none.
    """

    node_name: str
    mountpoint: Path = MOUNTPOINT
    state_dir: Path = STATE_DIR
    run_dir: Path = RUN_DIR
    corosync_conf: Path = COROSYNC_CONF
    ipc_name: str = IPC_NAME
    rrd_dir: Path = RRD_DIR
    rrdcached_socket: Path = RRDCACHED_SOCKET
    metrics_listen: LocalAddress | None = None
    has_given_name: bool = False
    is_local: bool = False
    is_foreground: bool = False
    is_debug: bool = False
    is_log_json: bool = False
    fsync_wait_s: float = FSYNC_WAIT_S
    history_mib: int = 0
    fuse_binding: FuseBinding = FuseBinding.LOWLEVEL
    gathers_writes: bool = False

    @property
    def database(self) -> Path:
        """The SQLite file that holds the tree."""
        return self.state_dir / "config.db"

    @property
    def history(self) -> Path:
        """The SQLite file with the history of changes, if one is kept."""
        return self.state_dir / HISTORY_NAME

    @property
    def lock_file(self) -> Path:
        """Held for as long as the daemon runs, so that there is only one."""
        return self.state_dir / ".pmxcfs.lockfile"

    @property
    def pid_file(self) -> Path:
        """Beside the run directory, as the reference has it."""
        return self.run_dir.with_name(self.run_dir.name + ".pid")

    @property
    def restart_flag(self) -> Path:
        """Tells clients of the IPC service that the daemon will be back in a moment."""
        return self.run_dir / "cfs-restart-flag"
