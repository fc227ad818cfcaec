"""The command line of scripts that try generated designs, each by its number, in several processes."""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

T = TypeVar("T")


def outcomes(outcome: Callable[..., T], description: str | None, designs: int, searches: int = 0) -> Iterator[T]:
    """What ``outcome(number)``, or ``outcome(number, searches=...)``, says of every design, in any order."""
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("--designs", type=int, default=designs)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    if searches:
        parser.add_argument("--searches", type=int, default=searches)
    chosen = vars(parser.parse_args())
    numbers = range(chosen["first"], chosen["first"] + chosen["designs"])
    one = partial(outcome, searches=chosen["searches"]) if searches else outcome
    with multiprocessing.Pool(chosen["processes"]) as pool:
        yield from pool.imap_unordered(one, numbers, chunksize=5)
