#!/usr/bin/env bash
# The kernels' tests with kernels that check bounds, addresses and undefined behaviour: scripts/sanitize.sh [pytest …].
# They are compiled into build/sanitized (minutes); the package of the environment stays as it is. Needs GCC on Linux.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${VENV:-.venv}
target=build/sanitized
[ $# -gt 0 ] || set -- tests/kernels tests/pls

rm -rf "$target"
"$venv/bin/python" -m pip install -qq --disable-pip-version-check --no-deps --target "$target" \
    -Csetup-args=-Dchecked=true -Csetup-args=-Db_sanitize=address,undefined -Csetup-args=-Db_lundef=false \
    -Csetup-args=-Dbuildtype=debug -Csetup-args=-Doptimization=1 .

# Python itself is not sanitized: the libraries must come first, and what it never frees is no fault of ours.
LD_PRELOAD="$(gcc -print-file-name=libasan.so):$(gcc -print-file-name=libubsan.so)" \
    ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 PYTHONMALLOC=malloc \
    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 \
    "$venv/bin/python" scripts/sanitized.py "$target" -q -p no:cacheprovider \
    -W error::pytest.PytestUnraisableExceptionWarning "$@" # a bound that a function without errors has met
