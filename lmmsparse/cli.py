"""Command line: ``lmmsparse fit FORMULA FILE`` and ``lmmsparse demo``."""

from __future__ import annotations

import argparse
import io
import os
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from lmmsparse import __version__
from lmmsparse.datasets import load_dataset
from lmmsparse.errors import DataError, LmmError, LmmWarning
from lmmsparse.estimation.control import OPTIMIZERS
from lmmsparse.models.lmer import lmer

DEMO = (
    ("sleepstudy", "Reaction ~ Days + (Days | Subject)"),
    ("Penicillin", "diameter ~ 1 + (1 | plate) + (1 | sample)"),
    ("InstEval", "y ~ service + (1 | s) + (1 | d) + (1 | dept)"),
)


def read_table(path: str) -> pd.DataFrame:
    """A CSV or Parquet file as a pandas frame."""
    file = Path(path)
    try:
        there = file.is_file()
    except (OSError, ValueError):  # a path that is too long, or holds a zero byte
        there = False
    if not there:
        raise DataError(f"there is no file {path[:200]!r}")
    try:
        if file.suffix.lower() in (".parquet", ".pq"):
            return pd.read_parquet(file)
        return _told_apart(pd.read_csv(file), path)
    except ImportError as error:
        raise DataError("reading Parquet needs pyarrow: pip install pyarrow") from error
    except (ValueError, OSError) as error:
        raise DataError(f"{path!r} cannot be read as CSV or Parquet: {error}") from error


def _told_apart(frame: pd.DataFrame, path: str) -> pd.DataFrame:
    """The frame, unless its single column shows that something other than a comma separates its fields."""
    if len(frame.columns) == 1:
        name = str(frame.columns[0])
        for separator in (";", "\t", "|"):
            if separator in name:
                raise DataError(
                    f"{path!r} has the single column {name!r}: its fields seem to be separated by {separator!r}, "
                    "not by commas; save it with commas and decimal points"
                )
    return frame


def fit_file(arguments: argparse.Namespace) -> None:
    """Fit one model to a file and print its summary."""
    data = read_table(arguments.file)
    model = lmer(
        arguments.formula,
        data,
        REML=not arguments.ml,
        weights=arguments.weights,
        offset=arguments.offset,
        control={"optimizer": arguments.optimizer},
        progress=arguments.progress,
    )
    print(model.summary())


def demo(arguments: argparse.Namespace) -> None:
    """Fit three models to packaged data; print summaries, evaluations and seconds."""
    rows = []
    for name, formula in DEMO:
        data = load_dataset(name)
        start = time.perf_counter()
        model = lmer(formula, data)
        seconds = time.perf_counter() - start
        print(f"\n=== {name}: {formula}\n")
        print(model.summary())
        rows.append((name, model.nobs, model.optinfo.evaluations, seconds))
    print("\ndata set         rows  evaluations  seconds")
    for name, nobs, evaluations, seconds in rows:
        print(f"{name:<12}{nobs:>9}{evaluations:>13}{seconds:>9.3f}")


def parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    top = argparse.ArgumentParser(
        prog="lmmsparse", description="Linear mixed models by sparse penalized least squares."
    )
    top.add_argument("--version", action="version", version=f"lmmsparse {__version__}")
    commands = top.add_subparsers(dest="command", required=True)
    fit = commands.add_parser("fit", help="fit a model to a CSV or Parquet file and print its summary")
    fit.add_argument("formula", help="lme4's notation, in quotes: 'y ~ x + (1 | g)'")
    fit.add_argument("file", help="CSV or Parquet file")
    fit.add_argument("--ml", action="store_true", help="maximum likelihood instead of REML")
    fit.add_argument("--weights", metavar="COLUMN", help="column of prior weights")
    fit.add_argument("--offset", metavar="COLUMN", help="column with a known part of the mean")
    fit.add_argument("--optimizer", choices=OPTIMIZERS, default=OPTIMIZERS[0])
    fit.add_argument("--progress", action="store_true", help="print every evaluation")
    fit.set_defaults(run=fit_file)
    show = commands.add_parser("demo", help="fit sleepstudy, Penicillin and InstEval on the packaged data")
    show.set_defaults(run=demo)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; 0 on success, 1 on an error of the data or the formula."""
    arguments = parser().parse_args(argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that cannot show a character gets a question mark
            stream.reconfigure(errors="replace")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", LmmWarning)
        try:
            arguments.run(arguments)
            sys.stdout.flush()
        except BrokenPipeError:  # who read the output has read enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except (LmmError, OSError) as error:  # such as a full disk behind the output
            print(f"lmmsparse: {error}", file=sys.stderr)
            return 1
        finally:
            for warning in caught:
                if issubclass(warning.category, LmmWarning):
                    print(f"{warning.category.__name__}: {warning.message}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
