"""The ratios to the reference as a bar chart, logarithmic: to the right of 1 is faster."""

import pygal

Figures = dict[str, dict[str, dict[str, dict[str, float]]]]


def ratios_as_svg(figures: Figures) -> str:
    """Return an SVG that needs nothing else to be looked at.

    Args:
        figures: by setting, by who ("ours", "reference"), by workload, as ``bench.fs`` writes them.
    """
    chart = pygal.HorizontalBar(
        logarithmic=True, js=[], width=900, height=900, legend_at_bottom=True, print_values=True
    )
    chart.title = "Operations per second, ours / reference"
    chart.value_formatter = lambda ratio: f"{ratio:.2f}"
    workloads = list(next(iter(figures.values()))["ours"])
    chart.x_labels = workloads
    for setting, sides in figures.items():
        ours, theirs = sides["ours"], sides["reference"]
        chart.add(setting, [ours[name]["ops_s"] / theirs[name]["ops_s"] for name in workloads])
    text: str = chart.render(is_unicode=True)
    return text


def growth_as_svg(figures: dict[str, dict[str, dict[str, float]]]) -> str:
    """Return an SVG of latencies by place, a line for each workload and daemon.

    Args:
        figures: by who, by place, by workload, as ``bench.growth`` writes them.
    """
    chart = pygal.Line(
        logarithmic=True, js=[], width=1000, height=700, legend_at_bottom=True, x_label_rotation=20
    )
    chart.title = "Median latency in microseconds"
    chart.x_labels = list(figures["ours"])
    for who, places in figures.items():
        dashes = {} if who == "ours" else {"stroke_style": {"dasharray": "3, 6"}}
        for workload in next(iter(places.values())):
            values = [latencies[workload] for latencies in places.values()]
            chart.add(f"{workload}, {who}", values, **dashes)
    text: str = chart.render(is_unicode=True)
    return text


def series_as_svg(series: dict[str, list[dict[str, float]]]) -> str:
    """Return an SVG of what was seen of each daemon over time, each as a part of its first value.

    Args:
        series: by node, what ``bench.long_run`` has seen, with the minute.
    """
    chart = pygal.XY(js=[], width=1000, height=600, legend_at_bottom=True, show_dots=False)
    chart.title = "As a part of what it was in the first tenth"
    chart.x_title = "minutes"
    for node, looks in series.items():
        first = looks[len(looks) // 10]
        for what in first:
            if what not in ("minute", "lines logged"):
                values = [(look["minute"], look[what] / (first[what] or 1)) for look in looks]
                chart.add(f"{what}, {node}", values)
    text: str = chart.render(is_unicode=True)
    return text
