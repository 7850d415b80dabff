"""The verbs for runs: perform a scenario, list them, judge a run again."""

import secrets
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.table import Table

from pmxcfs_lab.console import PROVIDER, out, progress
from pmxcfs_lab.errors import LabError
from pmxcfs_lab.options import Options
from pmxcfs_lab.plan import make_plan, parse_assignments
from pmxcfs_lab.providers import DEFAULT, open_lab
from pmxcfs_lab.runs import plants, scenarios
from pmxcfs_lab.runs.facts import read_facts
from pmxcfs_lab.runs.folder import Run, Violation, read_run
from pmxcfs_lab.runs.replay import differences, faults_as_lines
from pmxcfs_lab.runs.runner import Settings, perform
from pmxcfs_lab.runs.scenario import Scenario, read_scenario
from pmxcfs_lab.runs.validators import catalogue
from pmxcfs_lab.runs.validators.finding import Finding

RUNS = Path("build/runs")
SHOWN_MAX = 12

OwnFolder = Annotated[
    Path | None, typer.Option("--folder", help=f"Where it is recorded; else below {RUNS}.")
]


def run(
    context: typer.Context,
    seed: Annotated[
        int | None, typer.Option(help="Chooses faults and traffic; without it one is drawn.")
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="How long the traffic goes on.")] = None,
    nodes: Annotated[int | None, typer.Option("--nodes", "-n", help="1 to 9.")] = None,
    scenario: Annotated[
        str, typer.Option(help="A name (`scenarios` lists them), or a Python file.")
    ] = scenarios.CHAOS.name,
    binary: Annotated[
        list[str] | None,
        typer.Option(metavar="[NODE=]PATH", help="Another pmxcfs on all nodes, or on one."),
    ] = None,
    provider: Annotated[
        str | None, typer.Option("--provider", envvar="PROVIDER", help="Who makes the nodes.")
    ] = None,
    switch: Annotated[
        bool | None,
        typer.Option(
            "--switch/--no-switch", help="The lab's own switch fires the faults; else the clock."
        ),
    ] = None,
    folder: OwnFolder = None,
    plant: Annotated[
        str | None, typer.Option(help="Give the daemons a bug that this validator must find.")
    ] = None,
) -> None:
    """Perform a scenario on a lab of its own, judge it, and say how to repeat it.

    Exit status 3: a claim does not hold; with --plant: it was not found that it does not.
    """
    chosen = _scenario(scenario)
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    seconds = chosen.seconds if minutes is None else minutes * 60
    count = nodes or chosen.nodes
    provider = provider or context.meta[PROVIDER] or DEFAULT
    switch = provider == DEFAULT if switch is None else switch
    words = _command(scenario, seed, seconds, count, provider, [*(binary or [])])
    words += " --switch" if switch else " --no-switch"
    folder = folder or _new_folder(seed)
    if plant is not None:
        binary = [str(plants.write_binary(plant, folder))]
        words += f" --plant {plant}"
    name = f"run-{seed}-{secrets.token_hex(3)}" if context.obj == "lab" else context.obj
    options = Options(switch=switch, disk=chosen.disk and provider == DEFAULT)
    plan = make_plan(name, count, _binaries(binary or [], count), options=options)
    settings = Settings(seed, seconds, words, folder, provider)
    out.print(f"to repeat it: {words}", markup=False)
    with _interrupted_by_sigterm():
        began_s = time.monotonic()

        def say(line: str) -> None:
            progress.print(f"{time.monotonic() - began_s:6.1f} s  {line}", markup=False)

        result, findings = perform(chosen, settings, open_lab(name, say, provider), plan, say)
    _show(result, findings, settings.folder)
    _write_report(settings.folder)
    is_well = result.verdict == "ok" if plant is None else bool(findings[plant].violations)
    if not is_well:
        raise typer.Exit(3)


def replay(
    folder: Annotated[Path, typer.Argument(help="Of a run.")],
    again: Annotated[
        Path | None, typer.Option("--folder", help="Where the second run is recorded.")
    ] = None,
) -> None:
    """Perform a recorded run again; exit status 4 if its faults or its verdict differ."""
    first = read_run(folder)
    again = again or folder.with_name(f"{folder.name}-again")
    words = shlex.split(first.command)[1:]
    subprocess.run(
        [sys.executable, "-m", "pmxcfs_lab", *words, "--folder", str(again)], check=False
    )
    found = list(differences(folder, again))
    for line in found:
        out.print(line, markup=False, style="red")
    if found:
        raise typer.Exit(4)
    lines = len(faults_as_lines(again).splitlines())
    out.print(f"the same {lines} lines about faults, and the same verdict", markup=False)


def judge(
    folder: Annotated[Path, typer.Argument(help="Of a run.")],
    validator: Annotated[list[str] | None, typer.Option(help="Only this one; repeatable.")] = None,
) -> None:
    """Hold the validators against a recorded run again, without changing it."""
    facts = read_facts(folder)
    findings = catalogue.examine(facts, validator or ())
    _show_findings(findings)
    if any(finding.violations for finding in findings.values()):
        raise typer.Exit(3)


def list_scenarios() -> None:
    """List all scenarios, and what must hold in each."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("scenario", "seconds", "what happens"):
        table.add_column(heading, overflow="fold")
    for scenario in scenarios.SCENARIOS:
        table.add_row(scenario.name, f"{scenario.seconds:.0f}", scenario.about)
    out.print(table)
    for validator in catalogue.ALL:
        out.print(f"  {validator.name:10} {validator.about}", markup=False)


def _scenario(text: str) -> Scenario:
    is_file = text.endswith(".py") or "/" in text
    return read_scenario(Path(text)) if is_file else scenarios.named(text)


def _binaries(texts: list[str], count: int) -> Mapping[str, str]:
    """Return executables by node; a path without a node is everybody's."""
    everybody = [text for text in texts if "=" not in text]
    found = {f"node{number}": path for path in everybody for number in range(1, count + 1)}
    found |= parse_assignments([text for text in texts if "=" in text], "PATH")
    for path in found.values():
        if not Path(path).is_file():
            raise LabError(f"There is no file {path}.")
    return {node: str(Path(path).resolve()) for node, path in found.items()}


def _command(
    scenario: str, seed: int, seconds: float, count: int, provider: str, binaries: list[str]
) -> str:
    words = ["pmxcfs-lab", "run", "--seed", str(seed), "--minutes", f"{seconds / 60:.4g}"]
    words += ["--nodes", str(count), "--provider", provider, "--scenario", scenario]
    for binary in binaries:
        node, separator, path = binary.rpartition("=")
        words += ["--binary", f"{node}{separator}{Path(path).resolve()}"]
    return shlex.join(words)


def _new_folder(seed: int) -> Path:
    return RUNS / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{seed}"


def _write_report(folder: Path) -> None:
    # The plotting library takes a second to load.
    from pmxcfs_lab.runs.report import write_report

    out.print(f"to look at: {write_report(folder)}", markup=False)


def _show(result: Run, findings: Mapping[str, Finding], folder: Path) -> None:
    _show_findings(findings)
    judged = [violation for finding in findings.values() for violation in finding.violations]
    for violation in result.violations:
        if violation not in judged:
            out.print(_line(violation), markup=False, style="red")
    style = "green" if result.verdict == "ok" else "red"
    out.print(f"verdict: {result.verdict}", markup=False, style=style)
    out.print(f"recorded in {folder}", markup=False)
    out.print(f"to repeat it: {result.command}", markup=False)


def _show_findings(findings: Mapping[str, Finding]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("claim", overflow="fold")
    for heading in ("examined", "not promised", "violated"):
        table.add_column(heading, justify="right")
    for name, finding in findings.items():
        count = len(finding.violations)
        table.add_row(
            f"{name}: {catalogue.BY_NAME[name].about}",
            str(finding.examined),
            str(finding.excused or ""),
            str(count),
            style="red" if count else None,
        )
    out.print(table)
    for finding in findings.values():
        for violation in finding.violations[:SHOWN_MAX]:
            out.print(_line(violation), markup=False, style="red")


def _line(violation: Violation) -> str:
    where = f" {violation.node}" if violation.node else ""
    return f"{violation.t:8.2f} s{where} {violation.validator}: {violation.text}"


@contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """Remove the lab when a time limit ends the run: Python would just vanish."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt("SIGTERM")

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
