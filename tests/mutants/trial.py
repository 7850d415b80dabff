"""Try mutants: each in a process of its own, against the tests of its module.

Nothing on disk is changed, so a run disturbs nobody who works in the same checkout. Where a mutant
lies in the body of a function, that function's code is exchanged after the tests have been
collected, which saves most of the time; any other one takes the place of its module while the tests
are imported.
"""

import os
import resource
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

import pytest

from tests.mutants.mutations import Mutant
from tests.mutants.reach import Reach, reach_of

_MEMORY_DISK = Path("/dev/shm")
_MEMORY_BYTES_MAX = 3 * 1024**3
_ARGUMENTS = (
    *("-x", "-q", "-s", "--no-header", "--tb=no", "-p", "no:cacheprovider", "--hypothesis-seed=0"),
    *("-W", "ignore:Module already imported:pytest.PytestAssertRewriteWarning"),
)
LIMIT_FACTOR = 5
TEST_LIMIT_S_MIN = 8.0
"""Whatever hangs is ended after this; on a busy machine a test takes far longer than usual, too."""

_SURVIVED = 0
_NO_CODE = 90  # the function was not found at run time: exchange the module instead
_BROKEN = {4, 5}  # pytest: wrong usage, no tests


class Verdict(Enum):
    """What became of a mutant."""

    KILLED = "killed"
    TIMED_OUT = "timed out"
    SURVIVED = "survived"
    UNTRIED = "untried"


@dataclass(frozen=True, slots=True)
class Trials:
    """How the mutants of one module are tried: which tests, in which order, and for how long."""

    module: str
    source: Path
    tests: Sequence[str]
    reach: Reach
    workers: int

    @property
    def limit_s(self) -> float:
        """How long all tests may take together."""
        return TEST_LIMIT_S_MIN + LIMIT_FACTOR * self.reach.total_s

    def run(self, mutants: Sequence[Mutant]) -> Iterator[tuple[Mutant, Verdict]]:
        """Try mutants, in any order."""
        at_import = [mutant for mutant in mutants if mutant.function is None]
        in_functions = [mutant for mutant in mutants if mutant.function is not None]
        for number, verdict in self._in_functions(in_functions):
            if verdict is Verdict.UNTRIED:
                at_import.append(in_functions[number])
            else:
                yield in_functions[number], verdict
        jobs = [partial(self._at_import, mutant) for mutant in at_import]
        for number, verdict in _side_by_side(jobs, self.workers, self.limit_s):
            yield at_import[number], verdict

    def _in_functions(self, mutants: Sequence[Mutant]) -> Iterator[tuple[int, Verdict]]:
        """Collect the tests in one process, which forks another for each mutant."""
        if not mutants:
            return
        reader, writer = os.pipe()
        process = os.fork()
        if process == 0:
            os.close(reader)
            _be_quiet()
            with os.fdopen(writer, "w", buffering=1) as report:
                _pytest(self.tests, _Forks(self, mutants, report.write))
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as report:
            for line in report:
                number, verdict = line.split(" ", 1)
                yield int(number), Verdict(verdict.strip())
        os.waitpid(process, 0)

    def _at_import(self, mutant: Mutant) -> int:
        sys.meta_path.insert(0, _MutantFinder(self.module, self.source, mutant))
        first, *others = self.tests
        return _pytest([first]) or _pytest(others)


def reach(tests: Sequence[str], sources: Collection[Path]) -> Reach:
    """Run tests without a mutant, and see what they reach."""

    with tempfile.TemporaryDirectory(prefix="pmxcfs-reach-", dir=_workplace()) as directory:

        def run(watch: object) -> int:
            _be_quiet()
            _work_in(directory)
            return _pytest(tests, watch)

        return reach_of(run, sources)


class _Forks:
    """A pytest plugin which runs the collected tests once for each mutant, in as many processes."""

    def __init__(
        self, trials: Trials, mutants: Sequence[Mutant], report: Callable[[str], object]
    ) -> None:
        self._trials = trials
        self._mutants = mutants
        self._report = report
        self._is_trial = False

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        trials = self._trials
        module = sys.modules[trials.module]
        jobs = [partial(self._enter, session, module, mutant) for mutant in self._mutants]
        for number, verdict in _side_by_side(jobs, trials.workers, trials.limit_s):
            self._report(f"{number} {verdict.value}\n")
        if not self._is_trial:
            os._exit(0)
        return (yield)

    def _enter(self, session: pytest.Session, module: ModuleType, mutant: Mutant) -> int | None:
        """Become a trial: None goes on with the tests, those that reach the mutant first."""
        function = _function(module, mutant)
        code = _code(mutant, str(self._trials.source))
        if function is None or code is None or function.__code__.co_freevars != code.co_freevars:
            return _NO_CODE
        function.__code__ = code
        source, rank = str(self._trials.source), self._trials.reach.rank
        session.items.sort(key=lambda item: rank(item.nodeid, source, mutant.line, mutant.last))
        self._is_trial = True
        return None

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Let no test take much longer than it does without a mutant."""
        if self._is_trial:
            usual_s = self._trials.reach.seconds.get(nodeid, 0.0)
            _limit(max(TEST_LIMIT_S_MIN, LIMIT_FACTOR * usual_s))

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        if self._is_trial:
            os._exit(int(exitstatus))


def _side_by_side(
    jobs: Sequence[Callable[[], int | None]], workers: int, limit_s: float
) -> Iterator[tuple[int, Verdict]]:
    """Run each job in a process of its own, which ends with the status that the job returns.

    Where a job returns None, its process goes on behind this loop.
    """
    waiting = list(reversed(range(len(jobs))))
    running: dict[int, tuple[int, str]] = {}
    while waiting or running:
        while waiting and len(running) < workers:
            number = waiting.pop()
            directory = tempfile.mkdtemp(prefix="pmxcfs-mutant-", dir=_workplace())
            process = os.fork()
            if process == 0:
                _confine(directory, limit_s)
                _work(jobs[number])
                return
            running[process] = (number, directory)
        process, status = os.wait()
        number, directory = running.pop(process)
        shutil.rmtree(directory, ignore_errors=True)
        yield number, _verdict(status)


def _work(job: Callable[[], int | None]) -> None:
    """Do a job and end the process, unless the process is to go on."""
    try:
        status = job()
    except BaseException:
        traceback.print_exc()
        os._exit(_NO_CODE)
    if status is not None:
        os._exit(status)


def _verdict(status: int) -> Verdict:
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGALRM:
        return Verdict.TIMED_OUT
    if code == _NO_CODE or code in _BROKEN:
        return Verdict.UNTRIED
    return Verdict.SURVIVED if code == _SURVIVED else Verdict.KILLED


def _confine(directory: str, limit_s: float) -> None:
    """Limit this process in time and memory, and what it leaves to a directory."""
    _be_quiet()
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES_MAX, _MEMORY_BYTES_MAX))
    _work_in(directory)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    _limit(limit_s)


def _workplace() -> str | None:
    """Return where files cost least: in memory, where no test has to wait for a disk."""
    return str(_MEMORY_DISK) if _MEMORY_DISK.is_dir() else None


def _work_in(directory: str | None) -> None:
    tempfile.tempdir = directory
    if directory is not None:
        os.environ["PYTEST_DEBUG_TEMPROOT"] = directory


def _limit(limit_s: float) -> None:
    """End this process after so long, unless it is given another limit before."""
    signal.setitimer(signal.ITIMER_REAL, limit_s)


def _be_quiet() -> None:
    if os.environ.get("MUTANTS_LOUD"):
        return
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nowhere, descriptor)


def _pytest(tests: Sequence[str], *plugins: object) -> int:
    return int(pytest.main([*_ARGUMENTS, *tests], plugins=[_Unshrunk(), *plugins]))


class _Unshrunk:
    """A pytest plugin that keeps hypothesis from storing and from shrinking what it finds."""

    def pytest_configure(self) -> None:
        from hypothesis import Phase, settings

        phases = (Phase.explicit, Phase.generate)
        settings.register_profile(
            "mutants", database=None, deadline=None, derandomize=True, phases=phases
        )
        settings.load_profile("mutants")


class _MutantFinder(MetaPathFinder):
    """Finds one module, mutated."""

    def __init__(self, module: str, source: Path, mutant: Mutant) -> None:
        self._module = module
        self._loader = _MutantLoader(module, str(source), mutant)

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> ModuleSpec | None:
        if fullname != self._module:
            return None
        return spec_from_file_location(fullname, self._loader.path, loader=self._loader)


class _MutantLoader(SourceFileLoader):
    """Loads a mutant in the place of its module."""

    def __init__(self, module: str, path: str, mutant: Mutant) -> None:
        super().__init__(module, path)
        self._mutant = mutant

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._mutant.tree(), self.path, "exec")


def _function(module: ModuleType, mutant: Mutant) -> FunctionType | None:
    """Return the living function that a mutant changes, whatever it is wrapped in."""
    assert mutant.function is not None
    found: object = module
    for name in mutant.function.split("."):
        found = vars(found).get(name)
        if isinstance(found, property):
            found = found.fget
        if isinstance(found, classmethod | staticmethod):
            found = found.__func__
        while (wrapped := getattr(found, "__wrapped__", None)) is not None:
            found = wrapped
    return found if isinstance(found, FunctionType) else None


def _code(mutant: Mutant, path: str) -> CodeType | None:
    """Return the mutated code of that function."""
    assert mutant.function is not None
    code: CodeType | None = compile(mutant.tree(), path, "exec")
    for name in mutant.function.split("."):
        constants = code.co_consts if code is not None else ()
        inner = (found for found in constants if isinstance(found, CodeType))
        code = next((found for found in inner if found.co_name == name), None)
    return code
