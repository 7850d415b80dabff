"""What every level of the tests shares: naming a capability that a test needs.

``@pytest.mark.needs("fuse")`` skips a test where the machine lacks the capability. A run that
promises it (``--require=root,fuse,corosync``, as ``make test`` does) fails instead, and so does
every other skip in such a run: nothing may hide behind one.
"""

import os
import shutil
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is not a bug.
settings.register_profile("pmxcfs", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("pmxcfs")

LACKS_KEY = pytest.StashKey[bool]()
"""Set on a test that was skipped because the machine lacks what nobody promised."""

REQUIRED_KEY = pytest.StashKey[frozenset[str]]()
"""What this run promises."""


def _is_root() -> bool:
    return os.geteuid() == 0


def _opens_fuse() -> bool:
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except OSError:
        return False
    return True


def _has_corosync() -> bool:
    return shutil.which("corosync", path="/usr/sbin:/usr/bin:/sbin") is not None


def _has_rrdcached() -> bool:
    return shutil.which("rrdcached") is not None


def _has_chromium() -> bool:
    return shutil.which("chromium") is not None and shutil.which("chromedriver") is not None


def _has_reference() -> bool:
    return Path(os.environ.get("PMXCFS_REFERENCE", "/nonexistent")).is_file()


def _has_perl_library() -> bool:
    library = Path(os.environ.get("PVE_PERL_LIB", "/nonexistent"))
    return (library / "auto/PVE/IPCC/IPCC.so").is_file()


PROBES: dict[str, Callable[[], bool]] = {
    "root": _is_root,
    "fuse": _opens_fuse,
    "corosync": _has_corosync,
    "rrdcached": _has_rrdcached,
    # A browser, for reports: `make report-test` installs it
    "chromium": _has_chromium,
    # The C daemon, for mixed clusters: PMXCFS_REFERENCE=/path/to/its/pmxcfs
    "reference": _has_reference,
    # Upstream's Perl client, see CONTRIBUTING.md: PVE_PERL_LIB=/path/to/lib
    "perl": _has_perl_library,
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require",
        default="",
        metavar="NAMES",
        help=f"capabilities this run promises, joined by commas ({', '.join(PROBES)}); "
        "a test that would skip fails",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", f"needs(*names): skip without these capabilities ({', '.join(PROBES)})"
    )
    required = frozenset(filter(None, config.getoption("--require").split(",")))
    if unknown := sorted(required - PROBES.keys()):
        raise pytest.UsageError(f"--require: unknown capability {', '.join(unknown)}")
    config.stash[REQUIRED_KEY] = required


def pytest_runtest_setup(item: pytest.Item) -> None:
    needed = {str(name) for mark in item.iter_markers("needs") for name in mark.args}
    if unknown := sorted(needed - PROBES.keys()):
        pytest.fail(f"needs: unknown capability {', '.join(unknown)}")
    lacking = {name for name in needed if not PROBES[name]()}
    required = item.config.stash[REQUIRED_KEY]
    if promised := sorted(lacking & required):
        pytest.fail(f"this run requires {', '.join(promised)}, which this machine lacks")
    if lacking:
        item.stash[LACKS_KEY] = True
        pytest.skip(f"needs {', '.join(sorted(lacking))}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a skip in a run that promises something, unless ``needs`` explains it."""
    report = yield
    is_explained = LACKS_KEY in item.stash or hasattr(report, "wasxfail")
    if report.skipped and not is_explained and item.config.stash[REQUIRED_KEY]:
        reason = call.excinfo.value if call.excinfo else "no reason"
        report.outcome = "failed"
        report.longrepr = f"skipped in a run that allows no skip (--require): {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Fail a module that skips itself as a whole in a run that promises something."""
    report = yield
    if report.skipped and collector.config.stash[REQUIRED_KEY]:
        report.outcome = "failed"
        report.longrepr = f"skipped in a run that allows no skip (--require): {report.longrepr}"
    return report
