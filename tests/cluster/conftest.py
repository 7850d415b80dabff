"""Three corosyncs for the tests that need no pmxcfs; whole again before every test."""

from collections.abc import Iterator

import pytest

from tests.cluster.corosyncs import Corosyncs, remove_abandoned_labs


@pytest.fixture(scope="session")
def three_corosyncs() -> Iterator[Corosyncs]:
    remove_abandoned_labs()
    corosyncs = Corosyncs(3)
    try:
        corosyncs.up()
        yield corosyncs
    finally:
        corosyncs.down()


@pytest.fixture
def corosyncs(three_corosyncs: Corosyncs) -> Corosyncs:
    three_corosyncs.make_whole()
    return three_corosyncs
