#!/usr/bin/env bash
# Run checks: scripts/check.sh style types tests. Each runs whatever the others say; status 1 when any fails.
set -u
cd "$(dirname "$0")/.."
python=${VENV:-.venv}/bin/python
status=0

run() {
    printf '\n== %s\n' "$*"
    "$python" -m "$@" || status=1
}

for check in "$@"; do
    case $check in
        style) run ruff check .; run ruff format --check . ;;
        types) run mypy lmmsparse ;;
        # Two processes with a thread each: BLAS threads of parallel tests would fight for the same cores.
        tests) OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 run pytest -n 2 --dist loadfile ;;
        *) echo "check.sh: unknown check '$check'" && status=1 ;;
    esac
done
exit "$status"
