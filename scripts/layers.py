"""Check which package imports which: the contracts are in pyproject.toml, import-linter judges.

python scripts/layers.py
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from importlinter.cli import lint_imports

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Status 0 when every contract is kept."""
    os.chdir(ROOT)
    # The finder of an editable package knows no folder that could be walked: the sources are found by path instead.
    sys.meta_path[:] = [one for one in sys.meta_path if "editable" not in type(one).__module__]
    sys.path.insert(0, str(ROOT))
    return lint_imports(no_cache=True, no_logo=True)


if __name__ == "__main__":
    sys.exit(main())
