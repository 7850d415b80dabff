"""Databases of many shapes that one daemon has made hold the same tree when the other serves them.

Each is left by a clean stop or by kill -9, with its log of the last changes beside it.
"""

import os
from collections.abc import Iterator

import pytest
from pmxcfs_lab.lab import Lab
from pmxcfs_lab.provider import Service

from .conftest import MakeLab
from .services import end
from .where import PYTHON, REPOSITORY

pytestmark = pytest.mark.needs("reference")

STATE = "/var/lib/pve-cluster"
FILES = ("config.db", "config.db-wal")
NODE = "node1"


@pytest.fixture(scope="module")
def theirs(make_lab: MakeLab) -> Iterator[Lab]:
    lab = make_lab(1, binaries={NODE: os.environ["PMXCFS_REFERENCE"]}, local=True)
    yield lab
    lab.down()


@pytest.fixture(scope="module")
def ours(make_lab: MakeLab) -> Iterator[Lab]:
    lab = make_lab(1, local=True)
    yield lab
    lab.down()


@pytest.fixture(params=["theirs", "ours"])
def maker(request: pytest.FixtureRequest) -> Lab:
    lab: Lab = request.getfixturevalue(request.param)
    return lab


def serve(lab: Lab, files: dict[str, bytes]) -> None:
    """Start a lab's daemon on these files."""
    end(lab, NODE, [Service.PMXCFS])
    lab.exec(NODE, "sh", "-c", f"rm -f {STATE}/config.db*")
    for name, content in files.items():
        put = lab.exec(NODE, "sh", "-c", f"cat > {STATE}/{name}", stdin=content)
        assert put.exit_status == 0
    lab.start(NODE, [Service.PMXCFS])
    lab.wait()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("is_killed", [False, True], ids=["stopped", "killed"])
def test_a_database_that_one_daemon_made_holds_the_same_tree_in_the_other(
    theirs: Lab, ours: Lab, maker: Lab, seed: int, *, is_killed: bool
) -> None:
    reader = ours if maker is theirs else theirs
    serve(maker, {})
    module = ("env", "-C", str(REPOSITORY), PYTHON, "-m", "tests.e2e.shaping", str(seed))
    assert maker.exec(NODE, *module).exit_status == 0
    made = maker.trees()[NODE]
    if is_killed:
        maker.kill(NODE, [Service.PMXCFS])
    else:
        end(maker, NODE, [Service.PMXCFS])
    found = {name: maker.exec(NODE, "cat", f"{STATE}/{name}") for name in FILES}
    serve(reader, {name: done.stdout for name, done in found.items() if not done.exit_status})
    assert reader.trees()[NODE] == made
