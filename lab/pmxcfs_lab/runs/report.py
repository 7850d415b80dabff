"""One page about a run, complete in itself: what went wrong first, then everything over time."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import jinja2
from bokeh.core.templates import JS_RESOURCES
from bokeh.embed import components
from bokeh.model import Model
from bokeh.resources import Resources
from markupsafe import Markup

from pmxcfs_lab.runs import colours, folder
from pmxcfs_lab.runs.call_plots import Marks, overview_plot
from pmxcfs_lab.runs.calls import Calls, Integers, Result, read_calls
from pmxcfs_lab.runs.canvas import canvas
from pmxcfs_lab.runs.node_plots import condition_plot, fault_plot, version_plot
from pmxcfs_lab.runs.sampling import drawn, rates
from pmxcfs_lab.runs.summary import call_table, tiles
from pmxcfs_lab.runs.timelines import Band, Condition, Steps, Stretch, bands, stretches, versions
from pmxcfs_lab.runs.words import clock, state

PAGE = Path(__file__).parent / "page"


@dataclass(frozen=True, slots=True)
class Recorded:
    """A run's folder, read and put in order."""

    run: folder.Run
    duration_s: float
    calls: Calls
    stretches: list[Stretch]
    versions: dict[str, Steps]
    bands: list[Band]


def write_report(run_folder: Path) -> Path:
    """Write report.html into a run's folder and return its path.

    Raises:
        LabError: the folder holds no run, or a file of it is damaged or cannot be written.
    """
    path = run_folder / folder.REPORT
    new = path.with_suffix(".new")
    new.write_text(page(read(run_folder), _files(run_folder)))
    new.rename(path)
    return path


def read(run_folder: Path) -> Recorded:
    """Return what is in a run's folder.

    Raises:
        LabError: it holds no run, or a file of it is damaged.
    """
    run = folder.read_run(run_folder)
    observations = list(folder.read_observations(run_folder))
    faults = list(folder.read_faults(run_folder))
    end_s = max(
        run.duration_s,
        *(seen.t for seen in observations),
        *(event.t for event in faults),
        *(violation.t for violation in run.violations),
        0.0,
    )
    calls = read_calls(folder.read_history(run_folder), end_s)
    duration_s = max(end_s, float(calls.end.max(initial=0.0)))
    return Recorded(
        run,
        duration_s,
        calls,
        stretches(observations),
        versions(observations),
        bands(faults, duration_s),
    )


def page(recorded: Recorded, files: list[str]) -> str:
    """Return the page as HTML. `files` are paths to link to, from the run's folder."""
    run = recorded.run
    named = {violation.op for violation in run.violations if violation.op is not None}
    chosen = drawn(recorded.calls, named)
    script, places = components(_plots(recorded, chosen))
    calls = recorded.calls
    return _template().render(
        run=run,
        started=datetime.fromtimestamp(run.started_unix_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        duration=clock(recorded.duration_s),
        others={node: path for node, path in run.binaries.items() if path},
        violations=run.violations,
        tiles=tiles(recorded.calls, recorded.bands, recorded.stretches),
        choices={"node": calls.nodes, "client": calls.clients, "call": calls.kinds},
        results=[
            (f"{result:d}", result.name.lower(), colours.RESULTS[result], calls.count(result))
            for result in Result
        ],
        conditions=[(item.value, colours.CONDITIONS[item]) for item in Condition],
        nodes=list(zip(run.nodes, colours.NODES, strict=False)),
        colours={
            "leader": colours.LEADER,
            "fault": colours.FAULT,
            "violation": colours.VIOLATION,
            **colours.PERCENTILES,
        },
        drawn=len(chosen),
        total=len(calls),
        calls=call_table(calls),
        faults=[(band, state(band)) for band in recorded.bands],
        files=files,
        plots={name: Markup(place) for name, place in places.items()},
        style=Markup((PAGE / "page.css").read_text()),
        our_script=Markup((PAGE / "page.js").read_text()),
        library=Markup(_library()),
        plots_script=Markup(script),
    )


def _plots(recorded: Recorded, chosen: Integers) -> dict[str, Model]:
    run = recorded.run
    names = (*run.nodes, *recorded.calls.clients)
    shared = canvas(recorded.duration_s, recorded.bands, run.violations, names)
    marks = Marks(recorded.calls, chosen)
    nodes = list(run.nodes)
    plots = [
        overview_plot(shared, rates(recorded.calls, recorded.duration_s)),
        fault_plot(shared),
        condition_plot(shared, nodes, recorded.stretches),
        marks.client_plot(shared),
        marks.latency_plot(shared),
        version_plot(shared, nodes, recorded.versions),
    ]
    return {str(plot.name): plot for plot in plots}


def _library() -> str:
    """Return the plotting library as script elements."""
    bundle = Resources(mode="inline", components=["bokeh"])
    return str(JS_RESOURCES.render(js_raw=bundle.js_raw, js_files=[], hashes={}))


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(PAGE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["clock"] = clock
    return environment.get_template("page.html")


def _files(run_folder: Path) -> list[str]:
    """Return what else is in the folder, for links."""
    return sorted(_found(run_folder))


def _found(run_folder: Path) -> Iterator[str]:
    for path in run_folder.rglob("*"):
        if path.is_file() and path.stem != Path(folder.REPORT).stem:
            yield str(path.relative_to(run_folder))
