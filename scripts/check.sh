#!/usr/bin/env bash
# Run checks: scripts/check.sh style cython layers types tests.
# Each runs whatever the others say; status 1 when any fails.
set -u
cd "$(dirname "$0")/.."
programs=$(cd "${VENV:-.venv}/bin" && pwd)
export PATH="$programs:$PATH" # cython-lint calls pycodestyle by name
status=0

run() {
    printf '\n== %s\n' "$*"
    "$programs/python" "$@" || status=1
}

for check in "$@"; do
    case $check in
        style) run -m ruff check .; run -m ruff format --check . ;;
        cython) run -m cython_lint.cython_lint lmmsparse ;;
        layers) run scripts/layers.py ;;
        types) run -m mypy lmmsparse ;;
        # Two processes with a thread each: BLAS threads of parallel tests would fight for the same cores.
        tests) OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 run -m pytest -n 2 --dist loadfile ;;
        *) echo "check.sh: unknown check '$check'" && status=1 ;;
    esac
done
exit "$status"
