#!/usr/bin/env bash
# Run checks: scripts/check.sh style cython layers types tests.
# Each runs whatever the others say; status 1 when any fails. With COVERAGE=1 the tests record which lines and branches
# they run (before Python 3.14 that takes them two fifths longer), and the share is compared with the recorded floor.
set -u
cd "$(dirname "$0")/.."
programs=$(cd "${VENV:-.venv}/bin" && pwd)
export PATH="$programs:$PATH" # cython-lint calls pycodestyle by name
status=0

run() {
    printf '\n== %s\n' "$*"
    "$programs/python" "$@" || status=1
}

# Two processes with a thread each: BLAS threads of parallel tests would fight for the same cores.
run_tests() {
    local options="-n 2 --dist loadfile"
    [ -z "${COVERAGE:-}" ] || options="$options --cov --cov-report= --cov-fail-under=0"
    # shellcheck disable=SC2086
    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 run -m pytest $options
    [ -z "${COVERAGE:-}" ] || run scripts/coverage_floor.py
}

for check in "$@"; do
    case $check in
        style) run -m ruff check .; run -m ruff format --check . ;;
        cython) run -m cython_lint.cython_lint lmmsparse ;;
        layers) run scripts/layers.py ;;
        types) run -m mypy lmmsparse ;;
        tests) run_tests ;;
        *) echo "check.sh: unknown check '$check'" && status=1 ;;
    esac
done
exit "$status"
