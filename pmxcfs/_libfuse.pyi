# What fuse_build.py builds, as mypy sees it: C values are opaque.

from collections.abc import Callable
from types import TracebackType
from typing import Any, ParamSpec, Protocol, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")

class CData(Protocol):
    def __getattr__(self, name: str) -> Any: ...  # noqa: ANN401 - the C type decides
    def __add__(self, count: int) -> CData: ...
    def __hash__(self) -> int: ...

class CBuffer(Protocol):
    def __getitem__(self, part: slice) -> bytes: ...

class _FFI(Protocol):
    NULL: CData
    errno: int

    def new(self, ctype: str, init: object = ...) -> CData: ...
    def buffer(self, pointer: CData, size: int = ...) -> CBuffer: ...
    def string(self, pointer: CData) -> bytes: ...
    def def_extern(
        self,
        *,
        name: str = ...,
        onerror: Callable[[type[BaseException], BaseException, TracebackType], None] = ...,
        error: int = ...,
    ) -> Callable[[Callable[_P, _T]], Callable[_P, _T]]: ...

ffi: _FFI
lib: Any
