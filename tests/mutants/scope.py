"""Which modules are mutated, and which tests should notice: the fastest first."""

from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[2]

_MEMDB = (
    "tests/unit/memdb",
    "tests/golden/test_filesystem_vectors.py",
    "tests/golden/test_cluster_vectors_memdb.py",
    "tests/golden/test_tree_replay.py",
    "tests/property/test_memdb_codecs.py",
    "tests/property/test_memdb_model.py",
    "tests/property/test_memdb_histories.py",
)
_DFSM = (
    "tests/unit/dfsm",
    "tests/golden/test_dfsm_vectors.py",
    "tests/unit/test_dcdb.py",
    "tests/property/test_dfsm_machine.py",
)
_DATABASE = (
    "tests/unit/test_database_rules.py",
    "tests/unit/test_database_files.py",
    "tests/unit/test_database.py",
    "tests/unit/test_checkpoints.py",
    "tests/golden/test_database_vectors.py",
    "tests/golden/test_damage.py",
)
_DCDB = (
    "tests/unit/test_dcdb_rules.py",
    "tests/unit/test_dcdb.py",
    "tests/unit/test_driver.py",
    "tests/unit/test_lost_trees.py",
    "tests/unit/test_patience.py",
    "tests/golden/test_replay.py",
    "tests/sim/test_scenarios.py",
    "tests/sim/test_transcripts.py",
    "tests/unit/test_tap.py",
    "tests/sim/test_durable.py",
)

_WAITING = ("tests/unit/test_patience.py", "tests/unit/test_driver.py")

_TESTS_BY_PATTERN = {
    "pmxcfs/memdb/*.py": _MEMDB,
    "pmxcfs/fuse/permissions.py": ("tests/unit/fuse/test_permissions.py", "tests/unit/fuse"),
    "pmxcfs/dfsm/*.py": _DFSM,
    "pmxcfs/dcdb.py": _DCDB,
    "pmxcfs/database*.py": _DATABASE,
    "pmxcfs/rows.py": ("tests/unit/test_rows.py", *_DATABASE),
    "pmxcfs/vetting.py": (
        "tests/unit/test_vetting.py",
        *_DATABASE,
        "tests/property/test_database_bytes.py",
    ),
    "pmxcfs/checkpoints.py": (
        "tests/unit/test_checkpoint_rules.py",
        "tests/unit/test_checkpoints.py",
        "tests/unit/test_upkeep.py",
    ),
    "pmxcfs/loading.py": ("tests/unit/test_loading.py",),
    "pmxcfs/waits/*.py": ("tests/unit/waits", "tests/unit/test_replica.py", "tests/unit/dfsm"),
    "pmxcfs/corosync/restarts.py": ("tests/unit/corosync/test_restarts.py",),
    "pmxcfs/committing.py": ("tests/unit/test_committing.py", *_WAITING),
    "pmxcfs/patience.py": _WAITING,
    "pmxcfs/syncing.py": ("tests/unit/test_syncing.py",),
    "pmxcfs/upkeep.py": ("tests/unit/test_upkeep.py",),
    "pmxcfs/lost_trees.py": ("tests/unit/test_lost_trees.py",),
    "pmxcfs/replica.py": (
        "tests/unit/test_replica.py",
        *_DCDB,
        "tests/unit/memdb/test_limits.py",
        "tests/unit/waits",
    ),
}


@dataclass(frozen=True, slots=True)
class Tests:
    """The tests of one module, as paths: all of them, and before them those named after it."""

    own: tuple[str, ...]
    all: tuple[str, ...]


def tests_by_module(pattern: str) -> dict[str, Tests]:
    """Return the tests of every module (path below the root) that a pattern of paths names."""
    found = {}
    for glob, tests in _TESTS_BY_PATTERN.items():
        for path in sorted(ROOT.glob(glob)):
            module = str(path.relative_to(ROOT))
            if fnmatch(module, pattern) and path.stem != "__init__":
                found[module] = Tests(_own_tests(path.stem, tests), tests)
    return found


def _own_tests(stem: str, tests: tuple[str, ...]) -> tuple[str, ...]:
    """Return the test module that is named after a module, if there is one."""
    candidates = (f"{directory}/test_{stem}.py" for directory in tests)
    return tuple(candidate for candidate in candidates if (ROOT / candidate).is_file())
