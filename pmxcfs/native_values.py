"""Spells out what the decorators of value classes make, for the compiler.

A method that a decorator makes when a class is created stays interpreted, and a change makes some
two dozen values on its way. So the sources that are compiled get the same methods as text:
``__init__``, ``__eq__``, ``__hash__`` and ``__repr__``. This is only run where they are compiled.
"""

import ast

_DECORATORS = ("value", "dataclass")


class _Field:
    """A field of a class: its name, its type and its default, all as source text."""

    def __init__(self, line: ast.AnnAssign) -> None:
        assert isinstance(line.target, ast.Name)
        self.name = line.target.id
        self.type = ast.unparse(line.annotation)
        self.default = None if line.value is None else ast.unparse(line.value)
        self.factory = _factory(line.value)

    @property
    def parameter(self) -> str:
        """As a parameter of ``__init__``; None has a factory make the default."""
        if self.factory is not None:
            return f"{self.name}: {self.type} | None = None"
        default = "" if self.default is None else f" = {self.default}"
        return f"{self.name}: {self.type}{default}"

    @property
    def assignment(self) -> str:
        """As a line of ``__init__``."""
        made = "" if self.factory is None else f"{self.factory}() if {self.name} is None else "
        return f"self.{self.name}: {self.type} = {made}{self.name}"


def spell_out(source: str) -> str:
    """Return a module's source in which the methods of its value classes are written out.

    Raises:
        ValueError: a class inherits the fields of another, or is decorated in a way not known here.
    """
    module = ast.parse(source)
    classes = [node for node in ast.walk(module) if isinstance(node, ast.ClassDef)]
    with_fields = {node.name for node in classes if _is_value(node) and _fields(node)}
    for node in classes:
        if _is_value(node):
            if any(ast.unparse(base) in with_fields for base in node.bases):
                raise ValueError(f"{node.name} inherits fields")
            _rewrite(node)
    start = 1 if ast.get_docstring(module) is not None else 0
    module.body.insert(start, ast.parse("from typing import ClassVar, Literal").body[0])
    return ast.unparse(module)


def _is_value(node: ast.ClassDef) -> bool:
    return any(_decorator(item) in _DECORATORS for item in node.decorator_list)


def _decorator(item: ast.expr) -> str:
    return ast.unparse(item.func if isinstance(item, ast.Call) else item)


def _fields(node: ast.ClassDef) -> list[_Field]:
    return [_Field(line) for line in node.body if isinstance(line, ast.AnnAssign)]


def _factory(default: ast.expr | None) -> str | None:
    if not isinstance(default, ast.Call) or ast.unparse(default.func) != "field":
        return None
    if [option.arg for option in default.keywords] != ["default_factory"]:
        raise ValueError(f"not known here: {ast.unparse(default)}")
    return ast.unparse(default.keywords[0].value)


def _rewrite(node: ast.ClassDef) -> None:
    """Put methods in the place of a decorator and of the declarations of fields."""
    if len(node.decorator_list) != 1:
        raise ValueError(f"{node.name} has more than one decorator")
    (decorator,) = node.decorator_list
    options = decorator.keywords if isinstance(decorator, ast.Call) else []
    said = {option.arg: ast.unparse(option.value) for option in options}
    if not said.keys() <= {"frozen", "slots", "eq"}:
        raise ValueError(f"{node.name} is decorated with {ast.unparse(decorator)}")
    fields = _fields(node)
    written = [_match_args(fields), _init(fields), _repr(node.name, fields)]
    if said.get("eq") != "False":
        written.append(_eq(node.name, fields))
        written.append(_hash(fields) if said.get("frozen") == "True" else "")
    lines = [line for line in node.body if not isinstance(line, ast.AnnAssign)]
    node.body = [*(part for text in written for part in ast.parse(text).body), *lines]
    node.decorator_list = []


def _match_args(fields: list[_Field]) -> str:
    names = "".join(f"{field.name!r}, " for field in fields)
    kinds = ", ".join(f"Literal[{field.name!r}]" for field in fields)
    return f"__match_args__: ClassVar[tuple[{kinds}]] = ({names})" if fields else ""


def _init(fields: list[_Field]) -> str:
    parameters = [field.parameter for field in fields]
    lines = [field.assignment for field in fields] or ["pass"]
    return f"def __init__({', '.join(['self', *parameters])}) -> None:\n " + "\n ".join(lines)


def _repr(name: str, fields: list[_Field]) -> str:
    parts = ", ".join(f"{field.name}={{self.{field.name}!r}}" for field in fields)
    return f"def __repr__(self) -> str:\n return f'{name}({parts})'"


def _eq(name: str, fields: list[_Field]) -> str:
    equal = " and ".join(f"self.{field.name} == other.{field.name}" for field in fields) or "True"
    return (
        "def __eq__(self, other: object) -> bool:\n"
        f" if not isinstance(other, {name}):\n  return False\n"
        f" return {equal}"
    )


def _hash(fields: list[_Field]) -> str:
    values = "".join(f"self.{field.name}, " for field in fields)
    return f"def __hash__(self) -> int:\n return hash(({values}))"
