"""What `make mutants` changes in a module, and what it leaves alone."""

import ast
from textwrap import dedent

import pytest

from tests.mutants.mutations import Mutant, mutants_of


def lines(source: str) -> set[str]:
    """Return what the changed lines become."""
    return {mutant.now for mutant in mutants_of(dedent(source))}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a = b < c", {"a = b <= c", "a = b >= c"}),
        ("a = b == c", {"a = b != c"}),
        ("a = b in c", {"a = b not in c"}),
        ("a = b and c", {"a = b or c", "a = b", "a = c"}),
        ("a = not b", {"a = b"}),
        ("a = b + c", {"a = b - c"}),
        ("a = 7", {"a = 8", "a = 6"}),
        ("a = True", {"a = False"}),
        ("a = b'x'", {"a = b'x~'"}),
        ("a = b if c else d", {"a = b", "a = d"}),
        ("a = f(b, c, d=e)", {"a = f(c, b, d=e)", "a = f(b, c)"}),
        ("a = min(b, c)", {"a = max(b, c)"}),
        ("a = b[c:d]", {"a = b[:d]", "a = b[c:]"}),
        ("a = [b for b in c if d]", {"a = [b for b in c]"}),
        ("a.b = c", {"pass"}),
        ("f()", {"pass"}),
        ("raise StorageError('a sentence')", {"pass"}),
        ("raise OperationError(ENOENT)", {"pass", "raise OperationError(71)"}),
    ],
)
def test_a_line_is_changed_in_every_way(line: str, expected: set[str]) -> None:
    assert lines(line) == expected


@pytest.mark.parametrize(
    "line",
    [
        "'''a docstring'''",
        "import os",
        "a: Literal[1]",
        "log.warning('a sentence', key=1)",
        "self._core.log.info('a sentence', key=1)",
        "a = 'a sentence'",
        "assert a == 1",
        "log = get_logger('main')",
        "def f(a: Literal[1]) -> Literal[2]: pass",
    ],
)
def test_what_no_behaviour_hangs_on_is_left_alone(line: str) -> None:
    assert lines(line) == set()


SOURCE = """
class A:
    def f(self, a=1):
        if a:
            return 2
"""


def of(now: str) -> Mutant:
    return next(mutant for mutant in mutants_of(SOURCE) if mutant.now == now)


def test_a_mutant_knows_its_function_unless_it_shows_at_import() -> None:
    assert (of("return 3").where, of("return 3").function) == ("A.f", "A.f")
    assert of("def f(self, a=2):").function is None


def test_of_a_long_statement_only_the_changed_line_is_told() -> None:
    source = "a = {\n" + "".join(f"    'key{n}': Step.HOLD,\n" for n in range(20)) + "}"
    told = {mutant.key for mutant in mutants_of(source)}
    assert ("module", "'key7': Step.HOLD,", "'key7': another(Step.HOLD),") in told
    assert ("module", "'key7': Step.HOLD,", "'key7~': Step.HOLD,") in told


def test_a_mutant_differs_in_one_place() -> None:
    changed = ast.unparse(of("return 3").tree())
    assert changed == ast.unparse(ast.parse(SOURCE)).replace("return 2", "return 3")
