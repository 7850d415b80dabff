"""What every end-to-end test has: a lab of its module's own, its nodes, evidence on failure."""

import itertools
import os
import signal
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest
import testinfra.host
from pmxcfs_lab.docker.compose_files import MOUNTS
from pmxcfs_lab.errors import LabError
from pmxcfs_lab.evidence import save_evidence
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.layout import existing_labs
from pmxcfs_lab.options import DEFAULT, Options
from pmxcfs_lab.plan import make_plan
from pmxcfs_lab.providers import open_lab
from pmxcfs_lab.record import Owner
from pmxcfs_lab.testinfra_backend import connect

from .mixture import MIXTURES, OURS, Mixture
from .where import CAPABILITIES, PROVIDER, REPOSITORY

PREFIX = "e2e-"

OPEN_LABS: pytest.StashKey[dict[str, Lab]] = pytest.StashKey()
"""Labs that are up now, by name."""

SERIAL = itertools.count(1)

MakeLab = Callable[..., Lab]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--mixed",
        action="store_true",
        help="give every test the clusters in which some nodes run the reference (`make mixed`)",
    )
    parser.addoption(
        "--thorough", action="store_true", help="also what takes too long for `make test`"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[OPEN_LABS] = {}
    config.addinivalue_line(
        "markers", "lab_has(*capabilities): left out on providers without these (`Capability`)"
    )
    config.addinivalue_line(
        "markers", "thorough: takes too long for `make test`, runs with --thorough (`make e2e`)"
    )
    config.addinivalue_line(
        "markers", "mixed_only: too slow for `make test`, runs in mixed clusters (`make mixed`)"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "mixture" in metafunc.fixturenames:
        mixtures = MIXTURES if metafunc.config.getoption("--mixed") else (OURS,)
        metafunc.parametrize("mixture", mixtures, ids=str, scope="module")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.needs("root", "fuse", "corosync"))
            if config.getoption("--mixed"):
                item.add_marker(pytest.mark.needs("reference"))
    options = {name: config.getoption(f"--{name}") for name in ("mixed", "thorough")}
    left_out = [item for item in items if _is_left_out(item, **options)]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


def _is_left_out(item: pytest.Item, *, mixed: bool, thorough: bool) -> bool:
    """Whether a test is for longer runs only, or needs what the provider does not have."""
    wanted = {word for mark in item.iter_markers("lab_has") for word in mark.args}
    is_slow = item.get_closest_marker("mixed_only") is not None and not mixed
    is_long = item.get_closest_marker("thorough") is not None and not thorough
    return is_slow or is_long or not wanted <= CAPABILITIES


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Save what the labs show at the moment of a failure, and say where."""
    report = yield
    if report.failed:
        for name, lab in item.config.stash[OPEN_LABS].items():
            folder = item.config.rootpath / "build" / "evidence" / name / item.name / call.when
            report.sections.append((f"lab {name}", _save(lab, folder)))
    return report


@pytest.fixture(scope="session", autouse=True)
def _ends_by_sigterm_too() -> Iterator[None]:
    """Tear labs down when a time limit ends the run: Python would just vanish."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt("SIGTERM")

    before = signal.signal(signal.SIGTERM, interrupt)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session", autouse=True)
def _no_orphans() -> None:
    """Remove labs whose test run was killed."""
    for name in existing_labs():
        with suppress(LabError):  # somebody is building it at this moment: no orphan
            open_lab(name, print).down(only_if_orphaned=True)


@pytest.fixture(scope="session", autouse=True)
def _nodes_see_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give containers this checkout and what the tests write: they run programs from there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(MOUNTS, f"{REPOSITORY}:{tmp_path_factory.getbasetemp()}")
        yield


@pytest.fixture(scope="module")
def make_lab(pytestconfig: pytest.Config) -> Iterator[MakeLab]:
    """A function that brings a lab up; all of them are removed after the module's last test.

    Its arguments are those of `make_plan`, and the databases of `Lab.up`.
    """
    open_labs = pytestconfig.stash[OPEN_LABS]
    ours: list[Lab] = []

    def make(
        node_count: int = 3,
        databases: Mapping[str, Path] | None = None,
        binaries: Mapping[str, str] | None = None,
        *,
        local: bool = False,
        options: Options = DEFAULT,
    ) -> Lab:
        lab = open_lab(f"{PREFIX}{os.getpid()}-{next(SERIAL)}", print, PROVIDER)
        ours.append(lab)
        open_labs[lab.name] = lab
        plan = make_plan(lab.name, node_count, binaries, local=local, options=options)
        lab.up(plan, databases, owner=Owner.ourselves())
        return lab

    yield make
    for lab in ours:
        open_labs.pop(lab.name, None)
        lab.down()


@pytest.fixture(scope="module")
def lab(pytestconfig: pytest.Config, make_lab: MakeLab, mixture: Mixture) -> Iterator[Lab]:
    """Three nodes with our daemon, or a mixture. A module that wants another lab overrides this."""
    lab = make_lab(3, binaries=mixture.binaries())
    if mixture.theirs:
        mixture.join_in_order(lab)
    yield lab
    pytestconfig.stash[OPEN_LABS].pop(lab.name)
    lab.down()


@pytest.fixture
def nodes(lab: Lab) -> dict[str, testinfra.host.Host]:
    """The lab's nodes as testinfra hosts, by name; whatever the last test left is mended first."""
    mend(lab)
    return {name: connect(lab, name) for name in lab.plan.names}


def mend(lab: Lab) -> None:
    """Make the network whole, start what does not run, wait until all nodes agree."""
    lab.heal()
    for name in lab.plan.names:
        lab.start(name)
    lab.wait()


def _save(lab: Lab, folder: Path) -> str:
    try:
        return f"logs, views and databases are in {save_evidence(lab, folder)}"
    except (LabError, OSError) as error:
        return f"no evidence could be saved: {error}"
