"""When a ratio has fallen behind."""

from bench.check import fallen_behind, ratios


def test_a_ratio_compares_both_daemons_of_one_run() -> None:
    figures = {"alone": {"ours": {"stat": {"ops_s": 30.0}}, "reference": {"stat": {"ops_s": 20.0}}}}
    assert ratios(figures) == {"alone": {"stat": 1.5}}


def test_noise_is_no_falling_behind_and_more_is() -> None:
    recorded = {"alone": {"stat": 2.0, "unlink": 1.0}}
    assert fallen_behind({"alone": {"stat": 1.3, "unlink": 5.0}}, recorded) == []
    assert fallen_behind({"alone": {"stat": 1.1, "unlink": 1.0}}, recorded) == [
        "alone, stat: 1.10 of the reference, recorded 2.00"
    ]


def test_what_was_not_measured_has_not_fallen_behind() -> None:
    assert fallen_behind({}, {"alone": {"stat": 2.0}}) == []
