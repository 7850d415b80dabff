"""Whether the mount has become slower beside the reference than it was when last recorded.

    PMXCFS_REFERENCE=/path/to/its/pmxcfs make bench-check

Only ratios are compared, and only what is more than noise on a small machine counts.
"""

import argparse
import json
import sys
from pathlib import Path

from bench.fs import Rows

NOISE = 0.4
"""A ratio may fall by this part of itself."""

RECORDED = Path(__file__).with_name("recorded.json")

Ratios = dict[str, dict[str, float]]


def ratios(figures: dict[str, dict[str, Rows]]) -> Ratios:
    """Return the ratios of operations per second, by setting and workload."""
    return {
        setting: {
            name: row["ops_s"] / sides["reference"][name]["ops_s"]
            for name, row in sides["ours"].items()
        }
        for setting, sides in figures.items()
    }


def fallen_behind(now: Ratios, recorded: Ratios) -> list[str]:
    """Return a line for each ratio that is worse than recorded by more than noise."""
    return [
        f"{setting}, {name}: {now[setting][name]:.2f} of the reference, recorded {was:.2f}"
        for setting, workloads in recorded.items()
        for name, was in workloads.items()
        if name in now.get(setting, {}) and now[setting][name] < was * (1 - NOISE)
    ]


def main() -> None:
    """Compare what ``bench.fs --out`` wrote with what was recorded, or record it."""
    parser = argparse.ArgumentParser(prog="make bench-check", description=__doc__)
    parser.add_argument("figures", type=Path, help="from bench.fs --out")
    parser.add_argument("--record", action="store_true", help="from now on compare with these")
    wanted = parser.parse_args()
    now = ratios(json.loads(wanted.figures.read_text()))
    if wanted.record:
        RECORDED.write_text(json.dumps(now, indent=1) + "\n")
        return
    lines = fallen_behind(now, json.loads(RECORDED.read_text()))
    print("\n".join(lines) or "nothing has fallen behind")
    sys.exit(1 if lines else 0)


if __name__ == "__main__":
    main()
