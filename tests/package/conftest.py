"""Machines for each release of Debian that there is a package for; ``make deb-test`` runs these."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.package.machines import Machine, new_machine, package_for

RELEASES = ("bookworm", "trixie")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--release", choices=RELEASES, help="test the package of this one only")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "release" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--release")
        metafunc.parametrize("release", [chosen] if chosen else RELEASES, scope="session")


@pytest.fixture(scope="session")
def package(release: str) -> Path:
    return package_for(release)


@pytest.fixture(scope="session")
def bare(
    release: str, package: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Machine]:
    """Return what makes a bare machine of a name, not started."""

    def make(name: str) -> Machine:
        return new_machine(release, package, tmp_path_factory.mktemp(f"{release}-") / "disk", name)

    return make


@pytest.fixture
def machine(bare: Callable[[str], Machine]) -> Iterator[Machine]:
    """A bare machine that runs."""
    yield from _running(bare("pve1"))


@pytest.fixture(scope="module")
def node(bare: Callable[[str], Machine]) -> Iterator[Machine]:
    """A machine with the package installed, for all tests of a module."""
    for made in _running(bare("pve1")):
        made.run("apt-get -q -y --no-install-recommends install /root/pmxcfs.deb")
        yield made


def _running(machine: Machine) -> Iterator[Machine]:
    try:
        machine.start()
        yield machine
    finally:
        machine.remove()
