"""ci/locked: every Python package is pinned with hashes, and fits what pyproject.toml asks for."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKED = ROOT / "ci/locked"
FILES = ("build", "daemon", "development")

_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)


def blocks(name: str) -> list[str]:
    """Return the entries of a file, each with its hashes."""
    text = (LOCKED / f"{name}.txt").read_text()
    return [block for block in re.split(r"^(?=[^\s#])", text, flags=re.MULTILINE)[1:] if block]


def pinned(name: str) -> dict[str, str]:
    """Return the packages of a file with their versions."""
    found = [_PINNED.match(block) for block in blocks(name)]
    return {canonicalize_name(each[1]): each[2] for each in found if each is not None}


def wanted(*, with_dev: bool) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    groups = [
        project["dependencies"],
        *(project["optional-dependencies"].values() if with_dev else ()),
    ]
    requirements = [Requirement(text) for group in groups for text in group]
    return [each for each in requirements if each.name != project["name"]]


@pytest.mark.parametrize("name", FILES)
def test_every_package_is_pinned_to_one_version_with_hashes(name: str) -> None:
    entries = blocks(name)
    assert entries
    for entry in entries:
        assert _PINNED.match(entry), entry
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry


@pytest.mark.parametrize(("name", "with_dev"), [("daemon", False), ("development", True)])
def test_what_is_pinned_is_what_the_project_asks_for(name: str, with_dev: bool) -> None:
    versions = pinned(name)
    for requirement in wanted(with_dev=with_dev):
        version = versions.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement} is not pinned: make lock"
        assert version in requirement.specifier, f"{version} is not {requirement}: make lock"


@pytest.mark.parametrize("name", ["daemon", "build"])
def test_nodes_get_what_the_tests_ran_with(name: str) -> None:
    tested = pinned("development")
    for package, version in pinned(name).items():
        assert tested.get(package, version) == version, package


def test_every_package_of_the_daemon_has_a_licence_in_the_list() -> None:
    table, _, _ = (ROOT / "docs/LICENCES.md").read_text().partition("| Debian library")
    assert set(pinned("daemon")) == set(re.findall(r"^\| ([a-z0-9-]+) \|", table, re.MULTILINE))
