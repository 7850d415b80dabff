"""Works on a mounted file system as fast as it can; run on a node, with the standard library only.

    fs_load.py SCALE [WORKLOAD...]

Prints one JSON object: per workload its operations per second, the 50th and 99th percentile of
their latency in microseconds, and, where data is written, the bytes that the daemon brought to the
disk per byte written. The 4 KiB file, the thousand guests and the lock directory are made first.
"""

import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

MOUNT = Path("/etc/pve")
BENCH = MOUNT / "bench"
GUESTS = MOUNT / "nodes" / os.uname().nodename / "qemu-server"
LOCKS = MOUNT / "priv/lock"
PID_FILE = Path("/run/pve-cluster.pid")
KIB = b"0123456789abcde\n" * 64
SEQUENTIAL_BYTES = 512_000

Work = Callable[[int], object]


class Measured:
    """Latencies of single operations in nanoseconds, and the time that all took together."""

    def __init__(self, latencies_ns: list[int], took_ns: int, written_bytes: int = 0) -> None:
        self.latencies_ns = sorted(latencies_ns)
        self.took_ns = took_ns
        self.written_bytes = written_bytes

    def row(self, disk_bytes: int) -> dict[str, float]:
        """Return the figures."""
        count = len(self.latencies_ns)
        row = {
            "ops_s": count / self.took_ns * 1e9,
            "p50_us": self.latencies_ns[count // 2] / 1e3,
            "p99_us": self.latencies_ns[int(count * 0.99)] / 1e3,
        }
        if self.written_bytes:
            row["disk_bytes_per_byte"] = disk_bytes / self.written_bytes
        return row


def repeat(count: int, work: Work, written_bytes: int = 0) -> Measured:
    """Do it so many times, one after the other."""
    latencies = []
    began = time.perf_counter_ns()
    for index in range(count):
        before = time.perf_counter_ns()
        work(index)
        latencies.append(time.perf_counter_ns() - before)
    return Measured(latencies, time.perf_counter_ns() - began, written_bytes)


def side_by_side(processes: int, count: int, work: Callable[[int, int], object]) -> Measured:
    """Have processes do it so many times each, all beginning together."""
    barrier, results = multiprocessing.Barrier(processes), multiprocessing.SimpleQueue()

    def run(number: int) -> None:
        barrier.wait()
        began = time.perf_counter_ns()
        latencies_ns = repeat(count, lambda index: work(number, index)).latencies_ns
        results.put((began, time.perf_counter_ns(), latencies_ns))

    workers = [multiprocessing.Process(target=run, args=(n,)) for n in range(processes)]
    for worker in workers:
        worker.start()
    done = [results.get() for _ in workers]
    latencies = [latency for _, _, each in done for latency in each]
    took_ns = max(ended for _, ended, _ in done) - min(began for began, _, _ in done)
    for worker in workers:
        worker.join()
    return Measured(latencies, took_ns)


def read_whole(path: Path) -> int:
    """Open, read and close a file."""
    handle = os.open(path, os.O_RDONLY)
    try:
        size = 0
        while data := os.read(handle, 131072):
            size += len(data)
        return size
    finally:
        os.close(handle)


def read_small(number: int = 0, index: int = 0) -> None:
    """Open, read once and close the file of 4 KiB."""
    handle = os.open(BENCH / "small", os.O_RDONLY)
    os.read(handle, 8192)
    os.close(handle)


def make_file(path: Path, data: bytes, flags: int = os.O_TRUNC) -> None:
    """Create, write, close."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | flags, 0o640)
    os.write(handle, data)
    os.close(handle)


def replace_file(path: Path, index: int) -> None:
    """Write a temporary file and rename it, as the management tools do."""
    temporary = path.with_name(f"{path.name}.tmp.{index}")
    make_file(temporary, KIB, os.O_EXCL)
    temporary.rename(path)


def write_in_pieces(size: int) -> Measured:
    """Write the same amount of data in pieces of a size."""
    path = BENCH / "pieces"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
    measured = repeat(SEQUENTIAL_BYTES // size, lambda index: os.write(handle, b"x" * size))
    began = time.perf_counter_ns()
    os.close(handle)
    measured.took_ns += time.perf_counter_ns() - began
    measured.written_bytes = SEQUENTIAL_BYTES // size * size
    path.unlink()
    return measured


def stat_listing(index: int) -> None:
    """List the guests and stat each."""
    for name in os.listdir(GUESTS):  # noqa: PTH208
        os.stat(GUESTS / name)  # noqa: PTH116


def take_lock(index: int) -> None:
    """Make and remove a lock."""
    (LOCKS / "bench").mkdir()
    (LOCKS / "bench").rmdir()


def refresh_lock(scale: float) -> Measured:
    """Refresh a lock that is held."""
    lock = LOCKS / "held"
    lock.mkdir(exist_ok=True)
    measured = repeat(times(1000, scale), lambda index: os.utime(lock))
    lock.rmdir()
    return measured


def times(count: int, scale: float) -> int:
    """Return how often to do something, at least five times."""
    return max(5, int(count * scale))


def unlink_all(scale: float) -> Measured:
    """Remove files that were made before."""
    paths = [BENCH / f"gone{index}" for index in range(times(300, scale))]
    for path in paths:
        make_file(path, KIB)
    return repeat(len(paths), lambda index: paths[index].unlink())


def created(scale: float) -> Measured:
    """Make new files of a KiB."""
    count = times(300, scale)
    measured = repeat(count, lambda index: make_file(BENCH / f"new{index}", KIB), count * 1024)
    for index in range(count):
        (BENCH / f"new{index}").unlink()
    return measured


def replaced(scale: float) -> Measured:
    """Replace one file over and over."""
    count = times(300, scale)
    return repeat(count, lambda index: replace_file(BENCH / "one", index), count * 1024)


WORKLOADS: dict[str, Callable[[float], Measured]] = {
    "stat": lambda s: repeat(times(5000, s), lambda index: os.stat(BENCH / "small")),  # noqa: PTH116
    "open+read+close 4 KiB": lambda s: repeat(times(3000, s), lambda index: read_small()),
    "the same, 4 processes": lambda s: side_by_side(4, times(1500, s), read_small),
    "listdir of 1000": lambda s: repeat(times(50, s), lambda index: os.listdir(GUESTS)),  # noqa: PTH208
    "listdir + stat of 1000": lambda s: repeat(times(10, s), stat_listing),
    "read 512 000 bytes": lambda s: repeat(times(100, s), lambda i: read_whole(BENCH / "large")),
    "create + write 1 KiB + close": created,
    "unlink": unlink_all,
    "tmp file + rename 1 KiB": replaced,
    "the same, 4 writers": lambda s: side_by_side(
        4, times(100, s), lambda number, index: replace_file(BENCH / f"of{number}", index)
    ),
    "512 000 bytes in 512-byte writes": lambda s: write_in_pieces(512),
    "512 000 bytes in 128 KiB writes": lambda s: write_in_pieces(131072),
    "lock: mkdir + rmdir": lambda s: repeat(times(300, s), take_lock),
    "lock: refresh": refresh_lock,
    "read .version": lambda s: repeat(times(1500, s), lambda i: read_whole(MOUNT / ".version")),
    "read .members": lambda s: repeat(times(1500, s), lambda i: read_whole(MOUNT / ".members")),
    "read .vmlist": lambda s: repeat(times(500, s), lambda i: read_whole(MOUNT / ".vmlist")),
}


def furnish() -> None:
    """Make what the workloads look at."""
    for directory in (BENCH, GUESTS, LOCKS):
        directory.mkdir(parents=True, exist_ok=True)
    make_file(BENCH / "small", KIB * 4)
    (BENCH / "large").write_bytes(b"y" * SEQUENTIAL_BYTES)
    if len(os.listdir(GUESTS)) < 1000:  # noqa: PTH208
        for number in range(10_000, 11_000):
            make_file(GUESTS / f"{number}.conf", b"name: vm%d\nmemory: 512\n" % number)


def disk_bytes() -> int:
    """Return how much the daemon has brought to the disk so far."""
    counters = Path(f"/proc/{PID_FILE.read_text().strip()}/io").read_text()
    return int(dict(line.split(": ") for line in counters.splitlines())["write_bytes"])


def main() -> None:
    """Do what the command line names, or all."""
    scale, names = float(sys.argv[1]), sys.argv[2:] or list(WORKLOADS)
    furnish()
    rows = {}
    for name in names:
        before = disk_bytes()
        measured = WORKLOADS[name](scale)
        rows[name] = measured.row(disk_bytes() - before)
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
