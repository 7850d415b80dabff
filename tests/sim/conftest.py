"""Simulated nodes log nothing: a failing run is told by its transcript."""

from collections.abc import Iterator

import pytest
import structlog

from tests.sim.quiet import be_quiet


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    be_quiet()
    yield
    structlog.reset_defaults()
