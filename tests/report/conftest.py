"""What the tests of the report share: one browser, one made-up run."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pmxcfs_lab.runs.report import write_report

from tests.unit.lab.runs.made_up import write_run

from .browser import Page, browser


@pytest.fixture(scope="session")
def chromium() -> Iterator[Page]:
    with browser() as page:
        yield page


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of two and a half minutes with five nodes, four faults, two violations."""
    folder = tmp_path_factory.mktemp("run")
    write_run(folder)
    return write_report(folder)


@pytest.fixture
def page(chromium: Page, report: Path) -> Iterator[Page]:
    """The report, just opened; no test may make the browser complain."""
    chromium.complaints()
    chromium.open(report)
    yield chromium
    assert chromium.complaints() == []
