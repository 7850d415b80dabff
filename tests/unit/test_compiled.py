"""When the daemon runs compiled modules, and when the sources."""

import sys
from collections.abc import Iterator
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from pmxcfs import compiled


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Path]:
    """Return a directory as a compilation leaves it; what it holds cannot be loaded."""
    module = tmp_path / f"pmxcfs/memdb/tree{EXTENSION_SUFFIXES[0]}"
    module.parent.mkdir(parents=True)
    module.write_bytes(b"")
    (tmp_path / compiled.FINGERPRINT).write_text(compiled.fingerprint())
    finders = list(sys.meta_path)
    yield tmp_path
    sys.meta_path[:] = finders


def test_what_is_compiled_is_found_before_its_source(made: Path) -> None:
    assert compiled.prefer(made, {})
    finder = sys.meta_path[0]
    spec = finder.find_spec("pmxcfs.memdb.tree", None)
    assert spec is not None
    assert spec.origin == str(made / f"pmxcfs/memdb/tree{EXTENSION_SUFFIXES[0]}")
    assert finder.find_spec("pmxcfs.daemon", None) is None
    assert compiled.kind() == "compiled"


def test_sources_run_when_the_environment_says_so(made: Path) -> None:
    assert not compiled.prefer(made, {compiled.INTERPRETED: "1"})
    assert compiled.kind() == "interpreted"


def test_sources_run_when_one_was_changed_since(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = made / "changed.py"
    changed.write_text("")
    known = compiled.sources()
    monkeypatch.setattr(compiled, "sources", lambda: [*known[:-1], changed])
    assert not compiled.is_current(made)
    assert not compiled.prefer(made, {})


def test_sources_run_when_nothing_was_compiled(tmp_path: Path) -> None:
    assert not compiled.prefer(tmp_path, {})


def test_no_part_of_a_package_is_compiled_that_is_imported_before_the_choice() -> None:
    names = {str(path.relative_to(compiled.PACKAGE)) for path in compiled.sources()}
    assert "driver.py" in names
    assert "memdb/tree.py" in names
    assert not names & {"__init__.py", "__main__.py", "background.py", "options.py", "version.py"}
