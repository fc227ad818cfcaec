"""Measure every model with every program that is there, print the table, and check the bounds.

python -m benchmarks [--only NAME] [--repeats N]
"""

from __future__ import annotations

import argparse
import sys

from benchmarks.measurement import Measurement
from benchmarks.models import MODELS
from benchmarks.peers import PEERS, Lmmsparse, Unavailable
from benchmarks.report import broken_bounds, table


def main() -> int:
    """Run the benchmarks; status 1 when a bound is broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=MODELS, help="measure this model alone")
    parser.add_argument("--repeats", type=int, help="fits after the first, instead of each model's own number")
    args = parser.parse_args()
    models = [MODELS[args.only]] if args.only else list(MODELS.values())

    results: dict[tuple[str, str], Measurement] = {}
    missing: dict[str, str] = {}
    for model in models:
        for peer in PEERS:
            if peer.name in missing:
                continue
            try:
                results[model.name, peer.name] = peer.measure(model, args.repeats or model.repeats)
            except Unavailable as error:
                missing[peer.name] = str(error)
    print(table(results, Lmmsparse.name))
    print("\nseconds: median of the fits after the first, data loaded; MB: peak of the first fit above the loaded data")
    for name, reason in missing.items():
        print(f"{name} is not measured: {reason}")
    broken = [
        sentence
        for model in models
        for sentence in broken_bounds(model.name, results[model.name, Lmmsparse.name], model.bounds)
    ]
    print("\n".join(broken) if broken else "all bounds hold")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
