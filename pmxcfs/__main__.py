"""The command line: arguments become Options, Options become a running daemon."""

import argparse
import faulthandler
import gc
import ipaddress
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from pmxcfs import background, compiled, lean
from pmxcfs.exits import ExitStatus
from pmxcfs.options import (
    COROSYNC_CONF,
    FSYNC_WAIT_S,
    IPC_NAME,
    MOUNTPOINT,
    RRD_DIR,
    RRDCACHED_SOCKET,
    RUN_DIR,
    STATE_DIR,
    FuseBinding,
    LocalAddress,
    Options,
)
from pmxcfs.version import version_line

FSYNC_WAIT_S_MAX = 300
HISTORY_MIB_MAX = 2**20

DESCRIPTION = "Mount the cluster file system and keep it equal on all nodes."
EPILOG = """\
The tree lives in STATE_DIR/config.db. With a corosync.conf in the tree the daemon is a member of
the cluster, read-only until corosync says that it is quorate; without one, or with --local, it
works alone. `pmxcfs -l` on a copied config.db brings a dead node's configuration back.

Exit status: 0 after a clean end, 1 for an unknown option, 65 for a damaged database, which a
restart would not mend, 255 for every other failure.
"""

_FLAGS = (
    ("-d", "--debug", "log debug lines too, as writing 1 to .debug does"),
    ("-f", "--foreground", "stay in the foreground; else return once the mount is ready"),
    ("-l", "--local", "work alone and writable, whatever the tree says of a cluster"),
)
_PATHS = (
    ("--mountpoint", MOUNTPOINT),
    ("--state-dir", STATE_DIR),
    ("--run-dir", RUN_DIR),
    ("--corosync-conf", COROSYNC_CONF),
    ("--rrd-dir", RRD_DIR),
    ("--rrdcached-socket", RRDCACHED_SOCKET),
)

_SERVICE_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


class _Parser(argparse.ArgumentParser):
    """Exits as the reference does: 1 for an unknown option, 255 for a stray argument."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        print(f"{self.prog}: {message}. See {self.prog} --help.", file=sys.stderr)
        sys.exit(ExitStatus.USAGE)


class _Version(argparse.Action):
    """Finds out which version this is when it is asked for, and not at every start."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str) -> None:  # noqa: A002
        super().__init__(option_strings, dest, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        print(version_line(parser.prog))
        sys.exit(ExitStatus.CLEAN)


def parse(arguments: list[str]) -> Options:
    """Return what the arguments say; exits with 0 after --help, 1 or 255 when they are wrong."""
    parser = command_line()
    found, rest = parser.parse_known_args(arguments)
    unknown = [word for word in rest if word.startswith("-") and word != "-"]
    if unknown:
        parser.error(f"unknown option {unknown[0]}")
    if found.gather_writes and found.fuse_binding is not FuseBinding.LOWLEVEL:
        parser.error("--gather-writes needs --fuse-binding=lowlevel")
    if rest:
        parser.print_usage(sys.stderr)
        print(f"{parser.prog}: there is no argument {rest[0]!r}, only options", file=sys.stderr)
        sys.exit(ExitStatus.FAILURE)
    return Options(
        node_name=found.nodename or os.uname().nodename.partition(".")[0],
        has_given_name=found.nodename is not None,
        mountpoint=found.mountpoint,
        state_dir=found.state_dir,
        run_dir=found.run_dir,
        corosync_conf=found.corosync_conf,
        ipc_name=found.ipc_name,
        rrd_dir=found.rrd_dir,
        rrdcached_socket=found.rrdcached_socket,
        metrics_listen=found.metrics_listen,
        fuse_binding=found.fuse_binding,
        gathers_writes=found.gather_writes,
        is_local=found.local,
        is_foreground=found.foreground,
        is_debug=found.debug,
        is_log_json=found.log_format == "json",
        fsync_wait_s=found.fsync_wait,
        history_mib=found.history,
    )


def command_line() -> argparse.ArgumentParser:
    """Return the parser: what the manual page and the completions are made from."""
    parser = _Parser(
        prog="pmxcfs",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for short, long, text in _FLAGS:
        parser.add_argument(short, long, action="store_true", help=text)
    for long, default in _PATHS:
        parser.add_argument(
            long, default=default, type=_absolute, metavar="PATH", help="default: %(default)s"
        )
    parser.add_argument(
        "--nodename", metavar="NAME", help="default: the host name to its first dot"
    )
    parser.add_argument(
        "--ipc-name",
        default=IPC_NAME,
        type=_service_name,
        metavar="NAME",
        help="under which tools find this daemon; default: %(default)s",
    )
    parser.add_argument(
        "--log-format",
        choices=("text", "json"),
        default="text",
        help="of lines on standard error; default: %(default)s",
    )
    parser.add_argument(
        "--fsync-wait",
        type=_seconds,
        default=FSYNC_WAIT_S,
        metavar="SECONDS",
        help="how long fsync waits until a majority of the cluster's nodes has it on disk; "
        "0: this node's disk is enough (default: %(default)g)",
    )
    parser.add_argument(
        "--history",
        type=_mebibytes,
        default=0,
        metavar="MIB",
        help="keep a history of all changes beside the database, this large at most, for "
        "pmxcfs-ctl history, show, diff and undo; 0: none (default: %(default)d)",
    )
    parser.add_argument(
        "--metrics-listen",
        type=_local_address,
        metavar="ADDRESS:PORT",
        help="serve metrics to Prometheus, for example on 127.0.0.1:9221; off by default",
    )
    parser.add_argument(
        "--fuse-binding",
        default=FuseBinding.LOWLEVEL,
        type=FuseBinding,
        choices=list(FuseBinding),
        help="what stands between us and the kernel; default: %(default)s, the faster one",
    )
    parser.add_argument(
        "--gather-writes",
        action="store_true",
        help="answer writes before they are made, and make few large changes of many small ones; "
        "close waits for them. Every close costs a request then",
    )
    parser.add_argument("--version", action=_Version, help="print version and revision, and end")
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= FSYNC_WAIT_S_MAX:
        raise argparse.ArgumentTypeError(f"{text} is not within 0 and {FSYNC_WAIT_S_MAX} seconds")
    return seconds


def _local_address(text: str) -> LocalAddress:
    host, _, port = text.rpartition(":")
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no IP address with a port, like 127.0.0.1:9221 or [::1]:9221"
        ) from None
    if not address.is_loopback:
        raise argparse.ArgumentTypeError(
            f"others can reach {address}, and there is no password; give an address of this "
            "machine alone, like 127.0.0.1:9221, and put a proxy in front of it"
        )
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16):
        raise argparse.ArgumentTypeError(f"{port!r} is no port; give one from 1 to 65535")
    return LocalAddress(str(address), int(port))


def _mebibytes(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= HISTORY_MIB_MAX):
        raise argparse.ArgumentTypeError(f"must be a number of MiB from 0 to {HISTORY_MIB_MAX}")
    return int(text)


def _absolute(text: str) -> Path:
    return Path(text).absolute()


def _service_name(text: str) -> str:
    if not _SERVICE_NAME.fullmatch(text):
        raise argparse.ArgumentTypeError("must be 1 to 64 letters, digits, dots, - and _")
    return text


def main() -> NoReturn:
    """Run the daemon until it is told to end, and exit with its status.

    Without --foreground the caller's process ends as soon as the daemon is ready.
    """
    options = parse(sys.argv[1:])
    tell_ready = None if options.is_foreground else background.detach()
    gc.disable()  # what a start makes is there to stay
    # Imported after the fork and after --help and wrong options were answered.
    lean.import_libraries()
    compiled.prefer()
    from pmxcfs import daemon, logs
    from pmxcfs.supervision import supervisor

    # A hanging or broken daemon that is ended by a signal says where it was.
    faulthandler.enable()

    def ready() -> None:
        gc.freeze()
        gc.enable()
        lean.give_back_memory()
        if tell_ready is not None:
            tell_ready()

    switch = logs.configure(
        debug=options.is_debug,
        is_foreground=options.is_foreground,
        is_json=options.is_log_json,
    )
    sys.exit(daemon.run(options, switch, supervisor(), ready))


if __name__ == "__main__":
    main()
