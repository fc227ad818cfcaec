"""Compare the coverage that was recorded with the floor in pyproject.toml, which may only rise.

    COVERAGE=1 make test            # records, then asks this script
    python scripts/coverage_floor.py [--html FOLDER]

Status 1 below the floor. Above it by half a percentage point, it says to which number the floor can be raised. Without
CHOLMOD, whose tests are left out then, it judges nothing.
"""

from __future__ import annotations

import argparse
import io
import math
import os
import sys
from importlib.util import find_spec
from pathlib import Path

from coverage import Coverage
from coverage.exceptions import NoDataError

ROOT = Path(__file__).resolve().parents[1]
STEP = 0.5  # of a percentage point, in which the floor rises


def verdict(total: float, floor: float) -> tuple[bool, str]:
    """Whether the coverage suffices, and a line that says so."""
    if total < floor:
        return False, f"coverage {total:.2f} % is below the floor of {floor:g} %: test what is new"
    reached = math.floor(total / STEP) * STEP
    advice = f"; fail_under in pyproject.toml can be raised to {reached:g}" if reached >= floor + STEP else ""
    return True, f"coverage {total:.2f} %, floor {floor:g} %{advice}"


def main() -> int:
    """Report, and judge."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--html", type=Path, help="folder for a report line by line")
    args = options.parse_args()
    os.chdir(ROOT)
    recorded = Coverage()
    try:
        recorded.load()
        if args.html is None:
            total = recorded.report(file=io.StringIO())
        else:
            total = recorded.report(file=sys.stdout)
            recorded.html_report(directory=str(args.html))
            print(f"line by line: {args.html / 'index.html'}")
    except NoDataError:
        print("no coverage was recorded: run make coverage", file=sys.stderr)
        return 1
    enough, line = verdict(total, float(recorded.get_option("report:fail_under")))
    if find_spec("sksparse") is None:
        print(f"coverage {total:.2f} %, not compared with the floor: CHOLMOD is missing, and its tests were left out")
        return 0
    print(line)
    return 0 if enough else 1


if __name__ == "__main__":
    sys.exit(main())
