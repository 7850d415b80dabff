"""Plots of what nodes showed, and of the faults: bars over time."""

import re
from collections.abc import Sequence

from bokeh.models import BasicTickFormatter, ColumnDataSource, Range1d
from bokeh.plotting import figure

from pmxcfs_lab.runs import colours
from pmxcfs_lab.runs.canvas import Canvas, hover, name_rows
from pmxcfs_lab.runs.timelines import Band, Condition, Steps, Stretch
from pmxcfs_lab.runs.words import span, state

ROW_PX = 34
FAULT_ROW_PX = 26
AXIS_PX = 30


def node_number(name: str, nodes: Sequence[str]) -> int:
    """Return the number by which members and leaders are named: node3 is 3."""
    digits = re.search(r"\d+$", name)
    return int(digits[0]) if digits else nodes.index(name) + 1


def condition_plot(shared: Canvas, nodes: list[str], found: list[Stretch]) -> figure:
    """Return one row a node: condition as colour, members as text, a line while it leads."""
    plot = shared.plot("conditions", ROW_PX * max(1, len(nodes)) + AXIS_PX)
    name_rows(plot, nodes)
    known = [stretch for stretch in found if stretch.node in nodes]
    source = ColumnDataSource(_stretch_columns(known, nodes), name="conditions-labels")
    bars = plot.quad(
        left="start",
        right="end",
        top="top",
        bottom="bottom",
        source=source,
        fill_color="colour",
        line_color=None,
        hatch_pattern="hatch",
        hatch_color="white",
        hatch_alpha=0.35,
        hatch_weight=1,
        hatch_scale=7,
    )
    _labels(plot, source)
    leads = [s for s in known if s.leader == node_number(s.node, nodes)]
    plot.quad(
        left="start",
        right="end",
        top="lead_top",
        bottom="lead_bottom",
        source=ColumnDataSource(_stretch_columns(leads, nodes)),
        fill_color=colours.LEADER,
        line_color=None,
    )
    rows = [(name, f"@{name}") for name in ("node", "condition", "members")]
    rows += [("quorate", "@quorate"), ("sync", "@sync"), ("leader", "@leader"), ("time", "@span")]
    hover(plot, [bars], rows)
    return plot


def _stretch_columns(found: list[Stretch], nodes: list[str]) -> dict[str, list[object]]:
    columns: dict[str, list[object]] = {}
    for stretch in found:
        for name, value in _stretch_row(stretch, nodes).items():
            columns.setdefault(name, []).append(value)
    names = _stretch_row(Stretch("", 0, 0, Condition.SYNCED, (), None, None, None), [""])
    return columns or {name: [] for name in names}


def _stretch_row(stretch: Stretch, nodes: list[str]) -> dict[str, object]:
    row = len(nodes) - 1 - nodes.index(stretch.node)
    members = " ".join(map(str, stretch.members))
    is_up = stretch.condition not in (Condition.NO_PMXCFS, Condition.NO_COROSYNC)
    return {
        "start": stretch.start,
        "end": stretch.end,
        "span": span(stretch.start, stretch.end),
        "middle": row - 0.05,
        "top": row + 0.3,
        "bottom": row - 0.4,
        "lead_top": row + 0.44,
        "lead_bottom": row + 0.34,
        "colour": colours.CONDITIONS[stretch.condition],
        "hatch": colours.CONDITION_HATCHES[stretch.condition],
        "text": members if is_up else stretch.condition.value,
        "node": stretch.node,
        "condition": stretch.condition.value,
        "members": members or "-",
        "quorate": {True: "yes", False: "no", None: "-"}[stretch.quorate],
        "sync": stretch.sync or "-",
        "leader": "-" if stretch.leader is None else str(stretch.leader),
    }


def fault_plot(shared: Canvas) -> figure:
    """Return one bar a fault, in as many rows as there are faults at once."""
    rows = 1 + max((band.row for band in shared.bands), default=0)
    plot = shared.plot("faults", FAULT_ROW_PX * rows + AXIS_PX)
    name_rows(plot, [""] * rows)
    refused = [band for band in shared.bands if band.was_refused]
    lasting = [band for band in shared.bands if not band.was_refused]
    source = ColumnDataSource(_band_columns(lasting, rows), name="faults-labels")
    bars = plot.quad(
        left="start",
        right="end",
        top="top",
        bottom="bottom",
        source=source,
        fill_color=colours.FAULT,
        fill_alpha=0.85,
        line_color=None,
    )
    _labels(plot, source)
    marks = plot.scatter(
        "start",
        "middle",
        source=ColumnDataSource(_band_columns(refused, rows)),
        marker="circle_x",
        size=9,
        line_color=colours.FAULT,
        fill_color=None,
    )
    facts = [("fault", "@name"), ("what", "@details"), ("time", "@span"), ("", "@state")]
    hover(plot, [bars, marks], facts)
    return plot


def _band_columns(bands: list[Band], rows: int) -> dict[str, list[object]]:
    places = [rows - 1 - band.row for band in bands]
    return {
        "start": [band.start for band in bands],
        "end": [band.end for band in bands],
        "span": [span(band.start, band.end) for band in bands],
        "top": [place + 0.4 for place in places],
        "middle": list(places),
        "bottom": [place - 0.4 for place in places],
        "name": [band.name for band in bands],
        "details": [band.details for band in bands],
        "state": [state(band) for band in bands],
        "text": [f"{band.name}  {band.details}".strip() for band in bands],
    }


def version_plot(shared: Canvas, nodes: list[str], found: dict[str, Steps]) -> figure:
    """Return the tree versions; the first node's line is the widest, so that all can be seen."""
    plot = shared.plot("versions", 200)
    plot.y_range = Range1d(start=0, end=1, name="version-range")
    plot.yaxis.formatter = BasicTickFormatter(use_scientific=False)
    lines = []
    for place, node in enumerate(nodes):
        steps = found.get(node, Steps([], []))
        ends = [*steps.times, *([shared.duration_s] if steps.times else [])]
        values = [*steps.versions, *steps.versions[-1:]]
        columns = {"t": ends, "version": values, "node": [node] * len(ends)}
        source = ColumnDataSource(columns, name=f"versions-{place}")
        lines.append(
            plot.step(
                "t",
                "version",
                source=source,
                mode="after",
                line_color=colours.NODES[place % len(colours.NODES)],
                line_width=1.5 + 1.5 * (len(nodes) - 1 - place),
                line_join="round",
            )
        )
    hover(plot, [*lines], [("node", "@node"), ("tree version", "@version{0}")])
    return plot


def _labels(plot: figure, source: ColumnDataSource) -> None:
    """Write each bar's text into it; the page's script leaves out what does not fit."""
    count = len(source.data["text"])
    source.data["label"] = [""] * count
    source.data["label_at"] = list(source.data["start"])
    plot.text(
        "label_at",
        "middle",
        text="label",
        source=source,
        text_color="white",
        text_font_size="12px",
        text_baseline="middle",
        x_offset=5,
    )
