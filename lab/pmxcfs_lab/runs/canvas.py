"""The empty plots of the report: one axis of time for all, one crosshair, zoom by dragging."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from bokeh.models import (
    AdaptiveTicker,
    BoxZoomTool,
    CompositeTicker,
    CrosshairTool,
    CustomJSTickFormatter,
    FixedTicker,
    HoverTool,
    Range1d,
    WheelZoomTool,
)
from bokeh.models.annotations import BoxAnnotation, Span
from bokeh.models.renderers import DataRenderer
from bokeh.models.text import BaseText
from bokeh.plotting import figure

from pmxcfs_lab.runs.colours import FAULT, VIOLATION
from pmxcfs_lab.runs.folder import Violation
from pmxcfs_lab.runs.timelines import Band

LEFT_PX = (92, 220)
"""The least and the most room for the names of rows."""

LETTER_PX = 7.5

TIME_LABEL = """
const step = ticks.length > 1 ? Math.abs(ticks[1] - ticks[0]) : 1;
return pmxcfsTime(tick, step < 0.1 ? 2 : step < 1 ? 1 : 0);
"""


@dataclass(frozen=True, slots=True)
class Canvas:
    """What all plots of one page share.

    Attributes:
        left_px: room for the names of rows, the same in all plots: times are above each other.
        x: the times shown, in s.
        cross: the line below the pointer.
        moment: the line at the moment that a link went to.
    """

    duration_s: float
    bands: list[Band]
    violations: tuple[Violation, ...]
    left_px: int
    x: Range1d
    cross: Span = field(
        default_factory=lambda: Span(dimension="height", line_dash="dotted", name="cross")
    )
    moment: Span = field(
        default_factory=lambda: Span(
            dimension="height", line_width=2, visible=False, name="moment", line_color=VIOLATION
        )
    )

    def plot(self, name: str, height_px: int, *, has_bands: bool = True) -> figure:
        """Return an empty plot over time that zooms with all others."""
        plot = figure(
            name=name,
            height=height_px,
            sizing_mode="stretch_width",
            x_range=self.x,
            tools=[],
            toolbar_location=None,
            min_border_left=self.left_px,
            min_border_right=18,
            min_border_top=8,
            outline_line_color=None,
        )
        drag, wheel = BoxZoomTool(dimensions="width"), WheelZoomTool(dimensions="width")
        wheel.modifiers = "ctrl"
        plot.add_tools(drag, wheel, CrosshairTool(overlay=self.cross))
        plot.toolbar.active_drag = drag
        plot.toolbar.active_scroll = wheel
        if has_bands:
            self._add_bands(plot)
        self._add_lines(plot)
        style_axes(plot)
        return plot

    def _add_bands(self, plot: figure) -> None:
        for band in self.bands:
            if not band.was_refused:
                plot.add_layout(
                    BoxAnnotation(
                        left=band.start,
                        right=band.end,
                        fill_color=FAULT,
                        fill_alpha=0.09,
                        line_color=None,
                        level="underlay",
                    )
                )

    def _add_lines(self, plot: figure) -> None:
        for violation in self.violations:
            line = Span(location=violation.t, dimension="height", line_color=VIOLATION)
            line.line_dash = "dashed"
            line.line_alpha = 0.8
            plot.add_layout(line)
        plot.add_layout(self.moment)


def canvas(
    duration_s: float,
    bands: list[Band],
    violations: tuple[Violation, ...],
    names: Iterable[str] = (),
) -> Canvas:
    """Return the shared parts for a run of this length; `names` are those that rows will have."""
    end = max(duration_s, 1.0)
    x = Range1d(start=0.0, end=end, bounds=(0.0, end), min_interval=0.02, name="x")
    least, most = LEFT_PX
    wanted = 20 + LETTER_PX * max((len(name) for name in names), default=0)
    return Canvas(end, bands, violations, int(min(max(least, wanted), most)), x)


def style_axes(plot: figure) -> None:
    """Make axes quiet: minutes and seconds, thin lines, no minor marks, the page's ground."""
    plot.background_fill_color = plot.border_fill_color = plot.border_line_color = None
    plot.xaxis.ticker = _round_times()
    plot.xaxis.formatter = CustomJSTickFormatter(code=TIME_LABEL)
    plot.xgrid.grid_line_alpha = 0.5
    for axis in (*plot.xaxis, *plot.yaxis):
        axis.minor_tick_line_color = None
        axis.major_tick_in = 0
        axis.major_label_text_font_size = "12px"
        axis.axis_label_text_font_size = "12px"
        axis.axis_label_text_font_style = "normal"


def _round_times() -> CompositeTicker:
    """Return what puts labels at round minutes and seconds."""
    below = AdaptiveTicker(base=10, mantissas=[1, 2, 5], max_interval=0.5, num_minor_ticks=0)
    above = AdaptiveTicker(base=60, mantissas=[1, 2, 5, 10, 15, 20, 30], min_interval=1.0)
    above.num_minor_ticks = 0
    return CompositeTicker(tickers=[below, above])


def name_rows(plot: figure, names: list[str]) -> None:
    """Label one row a name, the first on top; row 0 is the lowest."""
    rows: dict[float | str, str | BaseText] = {
        float(len(names) - 1 - place): name for place, name in enumerate(names)
    }
    plot.yaxis.ticker = FixedTicker(ticks=[float(row) for row in range(len(names))])
    plot.yaxis.major_label_overrides = rows
    plot.yaxis.major_tick_line_color = None
    plot.yaxis.axis_line_color = None
    plot.ygrid.grid_line_color = None
    plot.y_range = Range1d(start=-0.6, end=max(len(names), 1) - 0.4)


def hover(plot: figure, renderers: list[DataRenderer], rows: list[tuple[str, str]]) -> HoverTool:
    """Show facts below the pointer: a heading, then lines of (name, what)."""
    tool = HoverTool(renderers=renderers, tooltips=rows)
    tool.point_policy = "follow_mouse"
    plot.add_tools(tool)
    return tool
