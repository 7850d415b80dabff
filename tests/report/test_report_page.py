"""The report in a real browser without a network: `make report-test`."""

import time
from pathlib import Path

import pytest
from pmxcfs_lab.eventually import eventually
from pmxcfs_lab.runs.folder import read_history, read_run
from pmxcfs_lab.runs.report import write_report

from tests.unit.lab.runs.made_up import write_run

from .browser import WITHIN_S, Page

pytestmark = pytest.mark.needs("chromium")

PLOTS = ["overview", "faults", "conditions", "clients", "latency", "versions"]


def soon(page: Page, expected: tuple[float, float]) -> None:
    def check() -> None:
        assert page.times == pytest.approx(expected, abs=0.5)

    eventually(check, within_s=WITHIN_S)


def test_all_plots_are_drawn_as_wide_as_the_page(page: Page) -> None:
    assert page.ask("return page.plots.map((plot) => plot.name)") == PLOTS
    widths = page.ask("return page.plots.map((plot) => plot.inner_width)")
    assert min(widths) > 1000
    assert len(set(widths)) == 1
    assert page.ask("return document.documentElement.scrollWidth <= innerWidth")


def test_every_call_has_its_mark(page: Page, report: Path) -> None:
    history = list(read_history(report.parent))
    calls = {event.id for event in history}
    failed = {event.id for event in history if event.phase == "fail"}
    assert page.shown == f"all {len(calls):,} marks"
    assert page.marks(1) == len(failed) > 50
    assert sum(page.marks(result) for result in range(4)) == len(calls)


def test_a_violations_link_shows_its_moment(page: Page, report: Path) -> None:
    t = read_run(report.parent).violations[0].t
    page.find(f'.violations a[data-t="{t}"]').click()
    soon(page, (t - 5, t + 5))
    assert page.ask("const m = page.find('moment'); return [m.visible, m.location]") == [True, t]
    assert f"t={t:.3f}" in page.address


@pytest.mark.parametrize(("name", "option"), [("node", "node3"), ("client", "client2")])
def test_a_filter_leaves_the_chosen_calls(page: Page, report: Path, name: str, option: str) -> None:
    meant = {event.id for event in read_history(report.parent) if getattr(event, name) == option}
    page.choose(name, option)
    assert page.shown.startswith(f"{len(meant):,} of ")
    assert sum(page.marks(result) for result in range(4)) == len(meant)
    assert f"{name}={option}" in page.address


def test_a_result_can_be_left_out(page: Page) -> None:
    assert page.marks(0) > 0
    page.find("input[value='0']").click()
    assert page.marks(0) == 0
    assert page.marks(1) > 0


def test_one_kind_of_call_has_its_median(page: Page) -> None:
    page.choose("call", "write")
    assert page.ask("return page.find('percentiles').data.median.some((ms) => !isNaN(ms))")
    assert page.find("#median").is_displayed()
    page.choose("call", "all")
    assert not page.find("#median").is_displayed()


def test_dragging_over_a_plot_zooms_all_of_them(page: Page) -> None:
    page.drag("latency", 0.2, 0.4)
    soon(page, (30, 60))
    ranges = page.ask("return page.plots.slice(1).map((p) => [p.x_range.start, p.x_range.end])")
    assert all(part == ranges[0] for part in ranges)
    page.find("#whole").click()
    soon(page, (0, 150))


def test_the_address_alone_brings_back_what_was_chosen(page: Page, report: Path) -> None:
    page.choose("node", "node3")
    page.find("#in").click()
    eventually(lambda: _has(page, "from="), within_s=WITHIN_S)
    address, times, shown = page.address, page.times, page.shown
    page.open(report, chosen=address)
    assert page.shown == shown
    soon(page, times)


def _has(page: Page, words: str) -> None:
    assert words in page.address


def test_bars_say_what_they_are_where_there_is_room(page: Page) -> None:
    labels = page.ask("return page.find('conditions-labels').data.label")
    assert "1 2 3 4 5" in labels
    assert "" in labels
    faults = page.ask("return page.find('faults-labels').data.label")
    assert "isolate  node node3" in faults


def test_pointing_at_a_node_tells_what_it_showed(page: Page) -> None:
    page.frame("conditions")
    page.point("conditions", 25.0, 2)

    def check() -> None:
        text = page.tooltip()
        for fact in ("node3", "no quorum", "leader", "0:16.5 to 0:33.0"):
            assert fact in text, text

    eventually(check, within_s=WITHIN_S)


def test_light_and_dark_change_page_and_plots(page: Page, report: Path) -> None:
    seen = []
    for theme in ("light", "dark"):
        page.open(report, query=f"?theme={theme}")
        ground = page.ask("return getComputedStyle(document.body).backgroundColor")
        labels = page.ask("return page.plots[2].below[0].major_label_text_color")
        seen.append((ground, labels))
    assert seen[0][0] != seen[1][0]
    assert seen[0][1] != seen[1][1]
    page.find("#theme").click()
    assert page.ask("return getComputedStyle(document.body).backgroundColor") == seen[0][0]


def test_a_run_of_many_calls_keeps_its_outliers_and_opens(chromium: Page, tmp_path: Path) -> None:
    write_run(tmp_path, seconds=600, per_s=120)
    path = write_report(tmp_path)
    assert path.stat().st_size < 4_000_000
    began_s = time.monotonic()
    chromium.open(path)
    took_s = time.monotonic() - began_s
    history = list(read_history(tmp_path))
    total = len({event.id for event in history})
    assert total > 40_000
    drawn = int(chromium.ask("return page.columns.result.length"))
    assert drawn < 25_000
    unknown = sum(event.phase == "unknown" for event in history)
    assert chromium.marks(2) == unknown > 10
    assert took_s < WITHIN_S
