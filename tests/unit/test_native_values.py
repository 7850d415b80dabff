"""What is compiled behaves as the decorators would have it."""

from types import ModuleType

import pytest

from pmxcfs.native_values import spell_out

SOURCE = '''
from dataclasses import dataclass, field
from pmxcfs.values import value

@value(frozen=True, slots=True)
class Nothing:
    """Has no fields."""

@value(frozen=True, slots=True)
class Point(Nothing):
    """Has two."""
    x: int
    y: int = 2

    @property
    def sum(self) -> int:
        return self.x + self.y

@value(frozen=True, slots=True)
class Other:
    x: int
    y: int

@dataclass(slots=True)
class Work:
    name: str
    done: list[int] = field(default_factory=list)

@dataclass(eq=False, slots=True)
class Single:
    x: int
'''


def run(source: str) -> ModuleType:
    module = ModuleType("spelled_out")
    exec(source, module.__dict__)
    return module


@pytest.fixture(params=["decorated", "spelled out"])
def classes(request: pytest.FixtureRequest) -> ModuleType:
    return run(SOURCE if request.param == "decorated" else spell_out(SOURCE))


def test_values_are_built_from_their_fields(classes: ModuleType) -> None:
    point = classes.Point(1)
    assert (point.x, point.y, point.sum) == (1, 2, 3)
    assert classes.Point(y=5, x=4).sum == 9
    assert isinstance(point, classes.Nothing)
    with pytest.raises(TypeError):
        classes.Point()


def test_values_are_equal_if_their_fields_and_classes_are(classes: ModuleType) -> None:
    assert classes.Point(1) == classes.Point(1, 2)
    assert classes.Point(1) != classes.Point(1, 3)
    assert classes.Point(1, 2) != classes.Other(1, 2)
    assert classes.Nothing() == classes.Nothing()
    assert len({classes.Point(1), classes.Point(1), classes.Point(2)}) == 2
    assert hash(classes.Point(1, 2)) == hash((1, 2))


def test_what_can_be_changed_has_no_hash(classes: ModuleType) -> None:
    with pytest.raises(TypeError):
        hash(classes.Work("a"))


def test_what_has_no_equality_is_itself_alone(classes: ModuleType) -> None:
    one = classes.Single(1)
    assert one in (one,)
    assert one != classes.Single(1)


def test_values_show_their_fields(classes: ModuleType) -> None:
    assert repr(classes.Point(1)).endswith("Point(x=1, y=2)")


def test_values_can_be_matched_by_position(classes: ModuleType) -> None:
    match classes.Point(7, 8):
        case classes.Point(x, y):
            assert (x, y) == (7, 8)


def test_each_gets_a_list_of_its_own(classes: ModuleType) -> None:
    one, other = classes.Work("a"), classes.Work("b")
    one.done.append(1)
    assert other.done == []
    assert one != classes.Work("a")
    assert classes.Work("a", [1]) == one


@pytest.mark.parametrize(
    "source",
    [
        "@value(frozen=True)\nclass A:\n x: int\n@value(frozen=True)\nclass B(A):\n y: int\n",
        "@value(frozen=True, order=True)\nclass A:\n x: int\n",
        "@other\n@value(frozen=True)\nclass A:\n x: int\n",
        "@dataclass\nclass A:\n x: int = field(default=1)\n",
    ],
)
def test_what_is_not_known_is_refused(source: str) -> None:
    with pytest.raises(ValueError, match=r"inherits|decorated|decorator|not known"):
        spell_out(source)
