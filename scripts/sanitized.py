"""Run pytest with the kernels of `make sanitize` in place of those of the editable install.

    python scripts/sanitized.py build/sanitized tests/kernels …

The first argument is the directory into which the sanitized package was installed.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pytest


def main() -> int:
    """The status of pytest."""
    directory = Path(sys.argv[1]).resolve()
    sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__name__ != "MesonpyMetaFinder"]
    sys.path.insert(0, str(directory))
    kernels = import_module("lmmsparse.kernels")
    if directory not in Path(str(kernels.__file__)).parents:
        raise SystemExit(f"sanitized.py: lmmsparse was imported from {kernels.__file__}, not from {directory}")
    return int(pytest.main(sys.argv[2:]))


if __name__ == "__main__":
    raise SystemExit(main())
