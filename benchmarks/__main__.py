"""Measure fits beside other programs (run), report them (table, plot, check), and check a change (compare, regress).

python -m benchmarks COMMAND --help
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from benchmarks import compare, machine, page, plot, records, regress
from benchmarks.bounds import verdict_text, verdicts
from benchmarks.models import MODELS
from benchmarks.peers import PEERS, Programs
from benchmarks.report import line
from benchmarks.runner import Settings, run

NOT_MEASURABLE = 2


def run_command(args: argparse.Namespace) -> int:
    """Measure, and keep each record at once."""
    results = records.Results(machine.describe(), {})
    if args.out is not None and args.out.exists():
        old = records.load(args.out)
        if old.machine != results.machine:
            print(f"{args.out} holds results of another machine: write to another file", file=sys.stderr)
            return NOT_MEASURABLE
        results = old
    models, peers = [MODELS[name] for name in args.models], [PEERS[name] for name in args.peers]
    for record in run(models, peers, _settings(args)):
        print(line(record), flush=True)
        results = results.merged([record])
        if args.out is not None:
            records.save(results, args.out)
    return 0


def table_command(args: argparse.Namespace) -> int:
    """Write the tables of the page."""
    page.write(records.load(args.results), args.page)
    return 0


def plot_command(args: argparse.Namespace) -> int:
    """Write the figure of the page."""
    plot.draw(records.load(args.results), args.figure)
    return 0


def check_command(args: argparse.Namespace) -> int:
    """Status 1 when a bound is broken."""
    found = verdicts(records.load(args.results))
    print("\n".join(map(verdict_text, found)))
    return int(any(one.holds is False for one in found))


def compare_command(args: argparse.Namespace) -> int:
    """Status 1 when head is worse."""
    base, head = records.load(args.base), records.load(args.head)
    if base.machine != head.machine:
        print("the two were measured on different machines: their ratio means nothing", file=sys.stderr)
        return NOT_MEASURABLE
    return _reported(compare.compare(base, head, args.tolerance))


def regress_command(args: argparse.Namespace) -> int:
    """Status 1 when the working tree is worse than the base."""
    models = [MODELS[name] for name in args.models]
    return _reported(regress.regress(args.base, models, args.rounds, args.tolerance, _settings(args)))


def _reported(comparisons: Iterable[compare.Comparison]) -> int:
    worse = False
    for one in comparisons:
        print(compare.comparison_text(one), flush=True)
        worse |= bool(one.faults)
    return int(worse)


def _settings(args: argparse.Namespace) -> Settings:
    programs = Programs(python=args.peer_python, rscript=args.rscript)
    return Settings(programs, args.repeats, args.timeout, args.budget, args.threads)


def _names(known: Mapping[str, object]) -> Callable[[str], list[str]]:
    def read(text: str) -> list[str]:
        chosen = [name for name in text.split(",") if name]
        unknown = [name for name in chosen if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"no {', '.join(unknown)}: choose from {', '.join(known)}")
        return chosen

    return read


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def command(work: Callable[[argparse.Namespace], int], *positional: str) -> argparse.ArgumentParser:
        name = work.__name__.removesuffix("_command")
        one = commands.add_parser(name, help=(work.__doc__ or "").rstrip("."))
        for argument in positional:
            one.add_argument(argument, type=Path)
        one.set_defaults(work=work)
        return one

    one = command(run_command)
    one.add_argument("--peers", type=_names(PEERS), default=list(PEERS), help="programs, with commas; all by default")
    one.add_argument("--out", type=Path, help="JSON file; what it holds of other fits is kept")
    one.add_argument("--models", type=_names(MODELS), default=list(MODELS), help="models, with commas; all by default")
    measuring = [one]
    one = command(table_command, "results")
    one.add_argument("--page", type=Path, default=page.PAGE)
    one = command(plot_command, "results")
    one.add_argument("--figure", type=Path, default=plot.FIGURE)
    command(check_command, "results")
    one = command(compare_command, "base", "head")
    one.add_argument("--tolerance", type=float, default=1.3, help="ratio from which on head is worse")
    one = command(regress_command)
    one.add_argument("--base", required=True, help="a commit, as git names it")
    one.add_argument("--rounds", type=int, default=5, help="times that both are measured, in turns")
    one.add_argument("--models", type=_names(MODELS), default=list(regress.MODELS))
    one.add_argument("--tolerance", type=float, default=1.3, help="ratio from which on head is worse")
    measuring.append(one)
    for one in measuring:
        one.add_argument("--repeats", type=int, help="fits after the first, instead of each model's own number")
        one.add_argument("--timeout", type=float, default=900.0, help="seconds after which a process is stopped")
        one.add_argument("--budget", type=float, default=60.0, help="seconds after which no repeat is begun")
        one.add_argument("--threads", type=int, help="limit of each program's threads")
        one.add_argument(
            "--peer-python",
            default=os.environ.get("BENCHMARK_PYTHON", sys.executable),
            help="interpreter whose environment has the other Python programs (or set BENCHMARK_PYTHON)",
        )
        one.add_argument(
            "--rscript",
            default=os.environ.get("BENCHMARK_RSCRIPT", "Rscript"),
            help="R's interpreter of scripts (or set BENCHMARK_RSCRIPT)",
        )
    return top


def main() -> int:
    """Run a command."""
    args = parser().parse_args()
    return int(args.work(args))


if __name__ == "__main__":
    sys.exit(main())
