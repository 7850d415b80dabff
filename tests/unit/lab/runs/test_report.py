"""The report as a file; `make report-test` looks at it in a browser."""

import re
from pathlib import Path

import pytest
from pmxcfs_lab.errors import LabError
from pmxcfs_lab.runs.folder import CallEvent, Run, RunWriter, Verdict, Violation
from pmxcfs_lab.runs.report import write_report

from .made_up import write_run

MARKUP = "</script><script>alert(1)</script>"

RUN = Run(7, ("node1",), "namespaces", f"pmxcfs-lab run {MARKUP}", 1_795_000_000.0)


def a_small_run(folder: Path, verdict: Verdict, *violations: Violation) -> str:
    with RunWriter(folder, RUN) as writer:
        writer.call(CallEvent(1.0, 1, MARKUP, "node1", "write", MARKUP, "ok", value=MARKUP))
        writer.finish(verdict, 2.0, violations)
    return write_report(folder).read_text()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("run")
    write_run(folder, seconds=80, per_s=5)
    (folder / "capture.pcap").write_bytes(b"")
    return write_report(folder).read_text()


def test_the_page_needs_nothing_from_outside(page: str) -> None:
    loads = re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=[^>]*>", page)
    assert loads == []
    assert "@import" not in page


def test_violations_are_first_with_a_link_to_their_moment(page: str) -> None:
    assert page.index("2 violations") < page.index('class="tiles"') < page.index('class="plots"')
    assert 'href="#t=36.400"' in page
    assert "nothing-lost" in page


@pytest.mark.parametrize(
    ("verdict", "words"), [("ok", "No violation."), ("aborted", "nothing was judged")]
)
def test_a_run_without_violations_says_what_that_means(
    tmp_path: Path, verdict: Verdict, words: str
) -> None:
    assert words in a_small_run(tmp_path, verdict)


def test_names_from_a_run_are_text_and_never_markup(tmp_path: Path) -> None:
    page = a_small_run(tmp_path, "violated", Violation(MARKUP, 1.0, MARKUP, node=MARKUP, op=1))
    assert MARKUP not in page


def test_a_run_that_recorded_nothing_has_a_page(tmp_path: Path) -> None:
    RunWriter(tmp_path, RUN).close()
    assert "aborted" in write_report(tmp_path).read_text()


def test_other_files_of_the_folder_are_linked(page: str) -> None:
    assert 'href="capture.pcap"' in page
    assert 'href="nodes/node1/pmxcfs.log"' in page
    assert 'href="report' not in page


def test_a_damaged_folder_leaves_the_old_report(tmp_path: Path) -> None:
    a_small_run(tmp_path, "ok")
    before = (tmp_path / "report.html").read_bytes()
    with (tmp_path / "history.jsonl").open("a") as file:
        file.write("nonsense\n")
    with pytest.raises(LabError, match=r"history\.jsonl, line \d+"):
        write_report(tmp_path)
    assert (tmp_path / "report.html").read_bytes() == before


def test_one_program_writes_several_reports(tmp_path: Path) -> None:
    a_small_run(tmp_path / "one", "ok")
    assert "No violation." in a_small_run(tmp_path / "two", "ok")
