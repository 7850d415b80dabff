"""Mutants of a module: every small change to its syntax tree that a test should notice.

A mutant replaces one node. Left alone is what no behaviour hangs on: docstrings, annotations,
decorators, patterns, assertions, log lines, f-strings and sentences.
"""

import ast
import errno
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

_T = TypeVar("_T")

_NEGATION: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_NEIGHBOUR: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
}
_OTHER_OPERATOR: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.BitXor: ast.BitOr,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
_OTHER_FUNCTION = {"min": "max", "max": "min", "any": "all", "all": "any", "sorted": "list"}
_SYMMETRIC = {"min", "max"}
_SENTENCES = {"AssertionError", "ProtocolError", "StorageError", "ValueError"}
_ANNOTATIONS = {"annotation", "returns", "decorator_list", "bases", "type_params"}
_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
_ANOTHER = "(lambda m: [*type(m)][([*type(m)].index(m) + 1) % len(type(m))])"
_LINE_LENGTH_MAX = 200
_TYPES = {"NewType", "TypeVar", "TypeAlias"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change to a module: ``was`` and ``now`` are the line it changes, as ``ast`` writes it.

    The statement that changes stands in the lines from ``line`` to ``last``.

    ``function`` is the qualified name of the outermost function whose code differs; None if the
    change shows when the module is imported.
    """

    where: str
    function: str | None
    line: int
    last: int
    was: str
    now: str
    tree: Callable[[], ast.Module]

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from the others of its module, and outlives a change of line numbers."""
        return self.where, self.was, self.now


def mutants_of(source: str) -> list[Mutant]:
    """Return every mutant of a module; equal ones of one function once."""
    found: dict[tuple[str, str, str, int], Mutant] = {}
    for count, site in enumerate(_sites(source)):
        for variant in range(len(list(_replacements(site.node)))):
            mutant = _mutant(source, count, variant)
            if mutant.was != mutant.now:
                found.setdefault((*mutant.key, mutant.line), mutant)
    return list(found.values())


@dataclass(frozen=True, slots=True)
class _Site:
    """A node that can be replaced, and where it stands."""

    node: ast.AST
    parent: ast.AST
    field: str
    position: int | None
    statement: ast.stmt
    where: tuple[str, ...]
    function: tuple[str, ...] | None

    def replace(self, new: ast.AST) -> None:
        """Put another node into its place."""
        ast.copy_location(new, self.node)
        if self.position is None:
            setattr(self.parent, self.field, new)
        else:
            getattr(self.parent, self.field)[self.position] = new


def _mutant(source: str, count: int, variant: int) -> Mutant:
    _, site = _tree_and_site(source, count)
    new = list(_replacements(site.node))[variant]
    was = _line(site.statement)
    if len(was) > _LINE_LENGTH_MAX:
        was, now = _part(source, site, new)
    else:
        site.replace(new)
        now = _line(new if isinstance(new, ast.stmt) else site.statement)
    return Mutant(
        ".".join(site.where) or "module",
        ".".join(site.function) if site.function else None,
        site.statement.lineno,
        site.statement.end_lineno or site.statement.lineno,
        was,
        now.replace(_ANOTHER, "another"),
        partial(_mutated, source, count, variant),
    )


def _mutated(source: str, count: int, variant: int) -> ast.Module:
    tree, site = _tree_and_site(source, count)
    site.replace(list(_replacements(site.node))[variant])
    return ast.fix_missing_locations(tree)


def _tree_and_site(source: str, count: int) -> tuple[ast.Module, _Site]:
    """Return a tree for one mutant alone, since its nodes refer to each other."""
    tree = ast.parse(source)
    return tree, next(site for number, site in enumerate(_walk(tree)) if number == count)


def _sites(source: str) -> list[_Site]:
    return list(_walk(ast.parse(source)))


def _line(statement: ast.stmt) -> str:
    """Return a statement as one line, without the statements inside it."""
    text = ast.unparse(statement)
    if isinstance(statement, ast.Match):
        cases = (ast.unparse(case.pattern) for case in statement.cases)
        return f"match {ast.unparse(statement.subject)}: {', '.join(cases)}"
    if hasattr(statement, "body"):
        lines = [line for line in text.splitlines() if not line.lstrip().startswith("@")]
        return lines[0]
    return " ".join(text.split("\n"))


def _part(source: str, site: _Site, new: ast.AST) -> tuple[str, str]:
    """Return the line in which a node of a long statement lies, and what it becomes."""
    node = site.node
    assert isinstance(node, ast.expr | ast.stmt)
    line = source.splitlines()[node.lineno - 1].encode()
    end = node.end_col_offset if node.end_lineno == node.lineno else len(line)
    now = line[: node.col_offset] + ast.unparse(new).encode() + line[end:]
    return line.decode().strip(), now.decode().strip()


def _walk(tree: ast.Module) -> Iterator[_Site]:
    for position, statement in enumerate(tree.body):
        yield from _visit(_Site(statement, tree, "body", position, statement, (), None))


def _visit(site: _Site) -> Iterator[_Site]:
    node = site.node
    if _is_left_alone(site):
        return
    yield site
    inner = site.where
    if isinstance(node, (*_FUNCTION, ast.ClassDef)):
        inner = (*site.where, node.name)
    for field, value in ast.iter_fields(node):
        if field in _ANNOTATIONS:
            continue
        function = site.function
        if function is None and isinstance(node, _FUNCTION) and field == "body":
            function = inner
        for position, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.AST):
                statement = child if isinstance(child, ast.stmt) else site.statement
                yield from _visit(_Site(child, node, field, position, statement, inner, function))


def _is_left_alone(site: _Site) -> bool:
    node = site.node
    match node:
        case ast.Import() | ast.ImportFrom() | ast.Assert() | ast.JoinedStr() | ast.pattern():
            return True
        case ast.Assign(targets=[ast.Name(id="log")]):
            return True
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.FunctionDef(name=name) if name.startswith("_log"):
            return True
        case ast.Call() | ast.Expr(value=ast.Call()) if _is_log_line(node):
            return True
        case ast.Constant(value=str(text)) if " " in text:
            return True  # a sentence
        case ast.Call(func=ast.Name(id=name)) if name in _TYPES:
            return True
        case ast.AnnAssign(annotation=ast.Name(id=name)) if name in _TYPES:
            return True
        case ast.Call(func=ast.Name(id=name)) if name in _SENTENCES:
            return True
    return False


def _is_log_line(node: ast.Call | ast.Expr) -> bool:
    """Whether a call tells the log something: ``log.info(...)`` of whatever owner."""
    call = node.value if isinstance(node, ast.Expr) else node
    match call:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="log") | ast.Attribute(attr="log"))):
            return True
        case ast.Call(func=ast.Attribute(attr=name)) if name.startswith("_log"):
            return True
    return False


def _replacements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what a node can be replaced by."""
    if isinstance(node, ast.stmt):
        yield from _other_statements(node)
    elif isinstance(node, ast.Constant):
        yield from _other_constants(node)
    elif isinstance(node, ast.comprehension):
        for drop in range(len(node.ifs)):
            yield ast.comprehension(node.target, node.iter, _without(node.ifs, drop), node.is_async)
    elif isinstance(node, ast.expr):
        yield from _other_expressions(node)


def _other_statements(node: ast.stmt) -> Iterator[ast.stmt]:
    match node:
        case ast.Expr(value=ast.Yield() | ast.YieldFrom()) | ast.Pass():
            pass  # a generator without its only yield is none
        case ast.Expr() | ast.Raise() | ast.Delete() | ast.Continue() | ast.Break():
            yield ast.Pass()
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]) | ast.AugAssign():
            yield ast.Pass()
            if isinstance(node, ast.AugAssign) and type(node.op) in _OTHER_OPERATOR:
                operator = _OTHER_OPERATOR[type(node.op)]()
                yield ast.AugAssign(node.target, operator, node.value)
        case ast.Return(value=value) if value is not None and not isinstance(value, ast.Constant):
            yield ast.Return(ast.Constant(None))
        case ast.Match() if len(node.cases) > 1:
            for drop in range(len(node.cases)):
                yield ast.Match(node.subject, _without(node.cases, drop))


def _other_constants(node: ast.Constant) -> Iterator[ast.expr]:
    match node.value:
        case bool():
            yield ast.Constant(not node.value)
        case int():
            yield ast.Constant(node.value + 1)
            yield ast.Constant(node.value - 1)
        case bytes():
            yield ast.Constant(node.value + b"~")
        case str():
            yield ast.Constant(node.value + "~")


def _other_expressions(node: ast.expr) -> Iterator[ast.expr]:
    match node:
        case ast.Compare():
            yield from _other_comparisons(node)
        case ast.BoolOp():
            yield ast.BoolOp(ast.And() if isinstance(node.op, ast.Or) else ast.Or(), node.values)
            for drop in range(len(node.values)):
                rest = _without(node.values, drop)
                yield rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield node.operand
        case ast.BinOp() if type(node.op) in _OTHER_OPERATOR:
            yield ast.BinOp(node.left, _OTHER_OPERATOR[type(node.op)](), node.right)
        case ast.IfExp():
            yield node.body
            yield node.orelse
        case ast.Call():
            yield from _other_calls(node)
        case ast.Slice(lower, upper, step):
            if lower is not None:
                yield ast.Slice(None, upper, step)
            if upper is not None:
                yield ast.Slice(lower, None, step)
        case ast.Name(ctx=ast.Load(), id=name) if name in errno.errorcode.values():
            yield ast.Constant(errno.EPROTO)
        case ast.Attribute(value=ast.Name(id=owner), attr=member, ctx=ast.Load()):
            if owner[0].isupper() and member.isupper():
                yield _another_member(node)


def _other_comparisons(node: ast.Compare) -> Iterator[ast.expr]:
    for position, operator in enumerate(node.ops):
        for table in (_NEGATION, _NEIGHBOUR):
            if type(operator) in table:
                other = [*node.ops]
                other[position] = table[type(operator)]()
                yield ast.Compare(node.left, other, node.comparators)


def _other_calls(node: ast.Call) -> Iterator[ast.expr]:
    if isinstance(node.func, ast.Name) and node.func.id in _OTHER_FUNCTION:
        other = ast.Name(_OTHER_FUNCTION[node.func.id], ast.Load())
        yield ast.Call(other, node.args, node.keywords)
    for drop in range(len(node.keywords)):
        yield ast.Call(node.func, node.args, _without(node.keywords, drop))
    if isinstance(node.func, ast.Name) and node.func.id in _SYMMETRIC:
        return
    for first in range(len(node.args) - 1):
        args = [*node.args]
        args[first], args[first + 1] = args[first + 1], args[first]
        yield ast.Call(node.func, args, node.keywords)


def _another_member(node: ast.expr) -> ast.expr:
    """Return the next member of an enumeration; of a class constant, its negation."""
    call = ast.parse(f"{_ANOTHER}(0)", mode="eval").body
    assert isinstance(call, ast.Call)
    call.args = [node]
    return call


def _without(items: list[_T], drop: int) -> list[_T]:
    return [item for position, item in enumerate(items) if position != drop]
