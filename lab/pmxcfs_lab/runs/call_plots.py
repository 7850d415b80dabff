"""Plots of the calls: how many a second, who called what when, how long it took."""

from collections.abc import Sequence

import numpy as np
from bokeh.models import (
    BasicTicker,
    CDSView,
    ColumnDataSource,
    CustomJSHover,
    DataRange1d,
    IndexFilter,
    Range1d,
    RangeTool,
)
from bokeh.models.renderers import DataRenderer
from bokeh.plotting import figure

from pmxcfs_lab.runs import colours
from pmxcfs_lab.runs.calls import Calls, Integers, Result
from pmxcfs_lab.runs.canvas import Canvas, hover, name_rows, style_axes
from pmxcfs_lab.runs.sampling import Rates, rates

MS_MIN = 0.01
"""Calls that took less are drawn there: a logarithmic axis has no 0."""

CLIENT_ROW_PX = (11, 20)
"""The least and the most for a client's row."""

CLIENTS_PX = 420
LABEL_PX = 14


def overview_plot(shared: Canvas, of_slices: Rates) -> figure:
    """Return the calls a second over the whole run, by result; a window on it chooses the times."""
    plot = figure(
        name="overview",
        height=104,
        sizing_mode="stretch_width",
        x_range=Range1d(start=0.0, end=shared.duration_s),
        tools=[],
        toolbar_location=None,
        min_border_left=shared.left_px,
        min_border_right=18,
        outline_line_color=None,
    )
    bottom = np.zeros(2 * len(of_slices.per_s[Result.OK]))
    times = np.repeat(of_slices.edges, 2)[1:-1]
    for result, per_s in of_slices.per_s.items():
        top = bottom + np.repeat(per_s, 2)
        plot.varea(x=times, y1=bottom, y2=top, fill_color=colours.RESULTS[result], fill_alpha=0.9)
        bottom = top
    plot.y_range = DataRange1d(start=0)
    plot.yaxis.axis_label = "calls / s"
    plot.yaxis.ticker = BasicTicker(desired_num_ticks=3)
    style_axes(plot)
    window = RangeTool(x_range=shared.x, start_gesture="pan")
    window.overlay.fill_alpha = 0.12
    window.overlay.fill_color = "#7a8190"
    window.overlay.line_color = "#7a8190"
    plot.add_tools(window)
    return plot


class Marks:
    """The calls that are drawn, in one source with a view for each result."""

    def __init__(self, calls: Calls, chosen: Integers) -> None:
        self._calls = calls
        paths, path_of = np.unique(calls.path[chosen], return_inverse=True)
        self._paths = [calls.paths[path] for path in paths]
        self.source = ColumnDataSource(_columns(calls, chosen, path_of), name="calls")
        of_result = calls.result[chosen]
        self.views = {
            result: CDSView(
                filter=IndexFilter(
                    indices=np.flatnonzero(of_result == result).tolist(), name=f"view-{result:d}"
                )
            )
            for result in Result
        }

    def client_plot(self, shared: Canvas) -> figure:
        """Return one row a client: every call from its begin to its end, marked by its result."""
        clients = self._calls.clients
        least, most = CLIENT_ROW_PX
        row_px = max(least, min(most, CLIENTS_PX // max(1, len(clients))))
        plot = shared.plot("clients", row_px * max(3, len(clients)) + 36)
        name_rows(plot, clients)
        if row_px < LABEL_PX:
            plot.yaxis.major_label_text_font_size = "10px"
        marks: list[DataRenderer] = []
        for result in Result:
            colour, view = colours.RESULTS[result], self.views[result]
            plot.segment(
                "start",
                "row",
                "end",
                "row",
                source=self.source,
                view=view,
                line_color=colour,
                line_width=3,
                line_alpha=0.55,
            )
            marks.append(self._scatter(plot, result, "start", "row", 5))
        self._hover(plot, marks)
        return plot

    def latency_plot(self, shared: Canvas) -> figure:
        """Return how long each call took, with percentiles over all calls or those of a kind."""
        plot = shared.plot("latency", 260)
        low, high = self._ms_range()
        ticks = plot_log(plot, low, high)
        plot.yaxis.ticker = ticks
        marks = [self._scatter(plot, result, "start", "ms", 5) for result in Result]
        source = self._percentiles(shared.duration_s)
        for name, colour in colours.PERCENTILES.items():
            plot.line("t", name, source=source, line_color=colour, line_width=1.8)
        self._hover(plot, marks)
        return plot

    def _percentiles(self, duration_s: float) -> ColumnDataSource:
        """Return percentiles over all calls and over those of each kind, for the page to choose."""
        calls = self._calls
        of_all = rates(calls, duration_s)
        middles = (of_all.edges[:-1] + of_all.edges[1:]) / 2
        columns = {"t": middles, "median": np.full(len(middles), np.nan), "p99": of_all.p99_ms}
        columns["p99-all"] = of_all.p99_ms
        for kind in range(len(calls.kinds)):
            of_kind = rates(calls, duration_s, calls.call == kind)
            columns |= {f"median-{kind}": of_kind.median_ms, f"p99-{kind}": of_kind.p99_ms}
        logs = {n: np.log10(np.maximum(v, MS_MIN)) if n != "t" else v for n, v in columns.items()}
        return ColumnDataSource(logs, name="percentiles")

    def _ms_range(self) -> tuple[float, float]:
        ms = np.maximum(self._calls.ms, MS_MIN)
        if not len(ms):
            return 0.1, 1000.0
        return float(ms.min()), float(ms.max())

    def _scatter(self, plot: figure, result: Result, x: str, y: str, size: int) -> DataRenderer:
        is_ok = result is Result.OK
        return plot.scatter(
            x,
            y,
            source=self.source,
            view=self.views[result],
            marker=colours.RESULT_MARKS[result],
            size=size if is_ok else size + 3,
            fill_color=colours.RESULTS[result],
            line_color=colours.RESULTS[result],
            line_width=0 if is_ok else 1.5,
            fill_alpha=0.6 if is_ok else 0.9,
        )

    def _hover(self, plot: figure, marks: Sequence[DataRenderer]) -> None:
        calls = self._calls
        lists = {
            "client": calls.clients,
            "node": calls.nodes,
            "call": calls.kinds,
            "path": self._paths,
            "errno": [errno or "-" for errno in calls.errnos],
            "result": [result.name.lower() for result in Result],
        }
        rows = [("call", "@call{custom} @path{custom}"), ("result", "@result{custom}")]
        rows += [("errno", "@errno{custom}"), ("took", "@took{0,0.00} ms")]
        rows += [("client", "@client{custom} on @node{custom}"), ("at", "@start{custom}")]
        rows += [("number", "@id{0}")]
        tool = hover(plot, list(marks), rows)
        tool.formatters = {
            f"@{name}": CustomJSHover(args={"names": names}, code="return names[value]")
            for name, names in lists.items()
        }
        tool.formatters["@start"] = CustomJSHover(code="return pmxcfsTime(value, 3)")


def plot_log(plot: figure, low_ms: float, high_ms: float) -> list[float]:
    """Give the plot an axis of powers of ten in ms, from values that are logarithms already."""
    low, high = np.floor(np.log10(low_ms)), np.ceil(np.log10(high_ms))
    high = max(high, low + 1)
    plot.y_range = Range1d(start=float(low), end=float(high))
    ticks = [float(power) for power in np.arange(low, high + 1)]
    plot.yaxis.major_label_overrides = {power: _duration(10**power) for power in ticks}
    return ticks


def _duration(ms: float) -> str:
    return f"{ms / 1000:g} s" if ms >= 1000 else f"{ms:g} ms"


def _columns(calls: Calls, chosen: Integers, path_of: Integers) -> dict[str, object]:
    """Return the columns of the drawn calls, as small as they may be: the page carries them all."""
    ms = calls.ms[chosen]
    small = np.int16 if len(calls.clients) < 2**15 else np.int32
    return {
        "id": calls.id[chosen].astype(np.int32 if calls.id.max(initial=0) < 2**31 else np.float64),
        "start": calls.start[chosen],
        "end": calls.end[chosen],
        "took": ms.astype(np.float32),
        "ms": np.log10(np.maximum(ms, MS_MIN)).astype(np.float32),
        "row": (len(calls.clients) - 1 - calls.client[chosen]).astype(small),
        "client": calls.client[chosen].astype(small),
        "node": calls.node[chosen].astype(np.int16),
        "call": calls.call[chosen].astype(np.int16),
        "path": path_of.astype(np.int32),
        "errno": calls.errno[chosen].astype(np.int16),
        "result": calls.result[chosen].astype(np.uint8),
    }
