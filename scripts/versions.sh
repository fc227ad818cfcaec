#!/usr/bin/env bash
# Put other versions of what the package stands on into the environment:
#
#   scripts/versions.sh lowest     the lowest that pyproject.toml allows
#   scripts/versions.sh nightly    the latest builds of NumPy and SciPy
#
# An editable package compiles what its new versions ask for when it is imported next.
set -eu
cd "$(dirname "$0")/.."
python=${VENV:-.venv}/bin/python
case ${1:-} in
    lowest)
        # the dependencies of [project], each ">=" as "=="
        lowest=$("$python" - <<'PYTHON'
import re
from importlib.metadata import requires

for one in requires("lmmsparse") or []:
    if "extra ==" not in one:
        print(re.sub(r">=\s*", "==", one))
PYTHON
)
        # shellcheck disable=SC2086
        "$python" -m pip install -q $lowest
        ;;
    nightly)
        "$python" -m pip install -q --pre --upgrade --only-binary :all: \
            --index-url https://pypi.anaconda.org/scientific-python-nightly-wheels/simple \
            --extra-index-url https://pypi.org/simple numpy scipy
        ;;
    *) echo "usage: scripts/versions.sh lowest|nightly" >&2; exit 2 ;;
esac
