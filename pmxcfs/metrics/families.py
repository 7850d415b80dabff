"""Families of samples, made of plain numbers."""

from collections.abc import Mapping
from errno import errorcode

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from pmxcfs.tallies import Durations, Requests

Labelled = Mapping[str, float]
"""A value for each word that one label can have."""


def gauge(name: str, text: str, value: float) -> Metric:
    """Return a number that goes up and down."""
    return GaugeMetricFamily(name, text, value=value)


def gauges(name: str, text: str, label: str, values: Labelled) -> Metric:
    """Return numbers that go up and down."""
    family = GaugeMetricFamily(name, text, labels=[label])
    for word, value in values.items():
        family.add_metric([word], value)
    return family


def counter(name: str, text: str, value: float) -> Metric:
    """Return a number that only goes up; ``_total`` is put behind its name."""
    return CounterMetricFamily(name, text, value=value)


def counters(name: str, text: str, label: str, values: Labelled) -> Metric:
    """Return numbers that only go up; ``_total`` is put behind their name."""
    family = CounterMetricFamily(name, text, labels=[label])
    for word, value in values.items():
        family.add_metric([word], value)
    return family


def histogram(name: str, text: str, durations: Durations) -> Metric:
    """Return how long something took, in seconds."""
    family = HistogramMetricFamily(name, text)
    family.add_metric([], _buckets(durations), durations.total_ns / 1e9)
    return family


def request_durations(name: str, text: str, requests: Requests) -> Metric:
    """Return how long requests took, by the name of the request."""
    family = HistogramMetricFamily(name, text, labels=["request"])
    for request, durations in requests.durations.items():
        family.add_metric([request], _buckets(durations), durations.total_ns / 1e9)
    return family


def request_errors(name: str, text: str, requests: Requests) -> Metric:
    """Return how often requests failed, by the name of the request and of the error."""
    family = CounterMetricFamily(name, text, labels=["request", "errno"])
    for (request, number), count in requests.errors.items():
        family.add_metric([request, errorcode.get(number, str(number))], count)
    return family


def _buckets(durations: Durations) -> list[tuple[str, float]]:
    """Return the bounds with how often it took at most that long."""
    buckets: list[tuple[str, float]] = []
    sum_of_counts = 0
    bounds = [*map(_text, Durations.bounds_s()), "+Inf"]
    for bound, count in zip(bounds, durations.counts, strict=True):
        sum_of_counts += count
        buckets.append((bound, sum_of_counts))
    return buckets


def _text(bound_s: float) -> str:
    """Return a bound as it is shown: always the same."""
    return f"{bound_s:.6g}"
