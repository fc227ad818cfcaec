#!/usr/bin/env bash
# Make .venv ready on a bare machine: system packages, virtual environment, the package itself (editable).
#
#   scripts/bootstrap.sh run     what is needed to use the package
#   scripts/bootstrap.sh test    the tools of the test suite as well
#
# What is there already is left alone. Without CHOLMOD everything works except sparse cores, so nothing that
# concerns it stops the script. Settings: PYTHON (interpreter), VENV (directory), SUITESPARSE_INCLUDE_DIR.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/system.sh
. scripts/system.sh

extras=${1:-run}
venv=${VENV:-.venv}

say() { printf 'bootstrap: %s\n' "$*"; }

install_missing_system_packages() {
    local manager packages
    manager=$(package_manager)
    packages=$(missing_packages "$manager" "$(find_python || true)")
    [ -n "$packages" ] || return 0
    if [ "$manager" = none ]; then
        say "missing on this machine, please install: $packages"
    elif ! can_install "$manager"; then
        say "missing, and no right to install: please run as root: $(install_command "$manager") $packages"
    else
        say "installing with $manager: $packages"
        install_packages "$manager" "$packages" || say "$manager could not install all of: $packages"
    fi
}

create_environment() {
    "$venv/bin/python" -m pip --version >/dev/null 2>&1 && return 0
    local python
    python=$(find_python) || { say "no Python >= 3.10 found (set PYTHON to its path)"; exit 1; }
    say "creating $venv with $python"
    "$python" -m venv --clear "$venv" || { say "$python cannot make virtual environments"; exit 1; }
}

# Twice quiet: errors only. The environment's own meson, ninja and Cython must be found first; an editable package
# compiles what has changed when it is imported, with the Cython that is named here.
pip_install() {
    local programs
    programs=$(cd "$venv/bin" && pwd)
    PATH="$programs:$PATH" CYTHON="$programs/cython" "$venv/bin/python" -m pip install -qq --disable-pip-version-check "$@"
}

install_package() {
    local target=.
    [ "$extras" = test ] && target='.[test]'
    say "installing the package with its dependencies${target#.}"
    pip_install 'meson-python>=0.18' 'meson>=1.4' ninja 'Cython>=3.1' 'scipy>=1.14'
    # The build directory lies in the environment: it names programs of the environment and must go with them.
    pip_install --no-build-isolation --config-settings build-dir="$venv/build" --editable "$target"
}

install_cholmod() {
    "$venv/bin/python" -c 'import sksparse.cholmod' >/dev/null 2>&1 && return 0
    local header version requirement
    header=$(cholmod_header) || { say "no CHOLMOD on this machine: going on without sparse cores"; return 0; }
    version=$(suitesparse_version "$header")
    export SUITESPARSE_INCLUDE_DIR=${header%/*}
    export SUITESPARSE_LIBRARY_DIR=${SUITESPARSE_LIBRARY_DIR:-${header%/include/*}/lib}
    for requirement in $(scikit_sparse_candidates "$version"); do
        say "building $requirement against SuiteSparse $version (a minute)"
        pip_install "$requirement" && "$venv/bin/python" -c 'import sksparse.cholmod' && return 0
    done
    say "scikit-sparse could not be built: going on without sparse cores"
}

install_missing_system_packages
create_environment
install_package
install_cholmod
say "$venv is ready"
