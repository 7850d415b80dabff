"""Mutate the code that must be exact, and report every mutant that the tests let live.

    python -m tests.mutants.run [--count N] [--seed S] [--modules PATTERN] [--workers N]

Exits with 1 if a mutant survives that ``accepted.toml`` does not list, or if that file is stale.
"""

import argparse
import os
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import cache

import hypothesis.strategies  # noqa: F401 - for all trials, since it takes long
import structlog  # noqa: F401
import trio  # noqa: F401

from tests.mutants.accepted import Accepted
from tests.mutants.mutations import Mutant, mutants_of
from tests.mutants.reach import Reach
from tests.mutants.scope import ROOT, Tests, tests_by_module
from tests.mutants.trial import Trials, Verdict, reach


@dataclass(slots=True)
class _Findings:
    survivors: list[tuple[str, Mutant]] = field(default_factory=list)
    untried: list[tuple[str, Mutant]] = field(default_factory=list)
    stale: list[tuple[str, ...]] = field(default_factory=list)

    @property
    def are_none(self) -> bool:
        """Whether all is well."""
        return not (self.survivors or self.untried or self.stale)


def main() -> int:
    """Run all that was asked for; return the exit status."""
    options = _options()
    os.chdir(ROOT)
    accepted = Accepted()
    findings = _Findings()
    modules = tests_by_module(options.modules)
    mutants_by_module = {module: mutants_of((ROOT / module).read_text()) for module in modules}
    for module, mutants in mutants_by_module.items():
        findings.stale += accepted.stale(module, mutants)
    chosen = _sample(mutants_by_module, options.count, options.seed)
    for module, mutants in chosen.items():
        _try_module(module, modules[module], mutants, options.workers, accepted, findings)
    _print(findings)
    return 0 if findings.are_none else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, help="try so many mutants, drawn by chance; else all")
    parser.add_argument("--seed", type=int, default=1, help="of that draw")
    parser.add_argument("--modules", default="*", help="only these, as pmxcfs/memdb/*.py")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    return parser.parse_args()


def _sample(
    mutants_by_module: dict[str, list[Mutant]], count: int | None, seed: int
) -> dict[str, list[Mutant]]:
    everything = [(module, m) for module, mutants in mutants_by_module.items() for m in mutants]
    if count is not None and count < len(everything):
        everything = random.Random(seed).sample(everything, count)
    chosen: dict[str, list[Mutant]] = {}
    for module, mutant in everything:
        chosen.setdefault(module, []).append(mutant)
    return chosen


def _try_module(
    module: str,
    tests: Tests,
    mutants: list[Mutant],
    workers: int,
    accepted: Accepted,
    findings: _Findings,
) -> None:
    name = module.removesuffix(".py").replace("/", ".")
    trials = Trials(name, ROOT / module, (*tests.own, *tests.all), _reach_of(tests.all), workers)
    began = time.monotonic()
    counts: Counter[str] = Counter()
    for mutant, verdict in trials.run(mutants):
        is_accepted = verdict is Verdict.SURVIVED and (module, mutant) in accepted
        counts["accepted" if is_accepted else verdict.value] += 1
        if verdict is Verdict.SURVIVED and not is_accepted:
            findings.survivors.append((module, mutant))
        elif verdict is Verdict.UNTRIED:
            findings.untried.append((module, mutant))
        _progress(f"{module} {sum(counts.values())}/{len(mutants)}")
    _progress("")
    told = ", ".join(f"{number} {what}" for what, number in sorted(counts.items()))
    print(f"{module:34} {len(mutants):4}: {told}, {time.monotonic() - began:.0f} s", flush=True)
    _print_mutants(module, findings)


@cache
def _reach_of(tests: tuple[str, ...]) -> Reach:
    sources = [ROOT / module for module, its in tests_by_module("*").items() if its.all == tests]
    found = reach(tests, sources)
    if found.status != 0:
        sys.exit(f"mutants: these tests fail without a mutant: {' '.join(tests)}")
    return found


def _progress(text: str) -> None:
    if sys.stdout.isatty():
        print(f"\r{text:60}", end="\r", flush=True)


def _print_mutants(module: str, findings: _Findings) -> None:
    """Say at once what a module's tests have let live: a run may be cut short."""
    for title, found in (("survived", findings.survivors), ("untried", findings.untried)):
        its_own = [mutant for of, mutant in found if of == module]
        for mutant in sorted(its_own, key=lambda each: each.line):
            print(f"\n{title}: {module}:{mutant.line} {mutant.where}")
            print(f"  - {mutant.was}\n  + {mutant.now}", flush=True)


def _print(findings: _Findings) -> None:
    for entry in findings.stale:
        print(f"\naccepted.toml is stale: {entry}")
    if findings.are_none:
        print("\nmutants: none survived but the accepted ones")
    else:
        print(f"\nmutants: {len(findings.survivors)} survived")


if __name__ == "__main__":
    sys.exit(main())
