# What the machine has and how to get what it lacks. Functions only; sourced by bootstrap.sh.

# Directories in which SuiteSparse's headers are found on the systems that we know.
usual_include_dirs() {
    local prefix
    for prefix in /usr /usr/local /opt/homebrew /opt/homebrew/opt/suite-sparse /usr/local/opt/suite-sparse \
        ${CONDA_PREFIX:-}; do
        printf '%s\n' "$prefix/include/suitesparse" "$prefix/include"
    done
}

# Path of cholmod.h. SUITESPARSE_INCLUDE_DIR, when set, is the only place that is looked at.
cholmod_header() {
    local dir
    for dir in ${SUITESPARSE_INCLUDE_DIR:-$(usual_include_dirs)}; do
        [ -f "$dir/cholmod.h" ] && printf '%s\n' "$dir/cholmod.h" && return 0
    done
    return 1
}

# "5.12" from the configuration header beside cholmod.h; "0.0" when it does not say.
suitesparse_version() {
    awk '$2 == "SUITESPARSE_MAIN_VERSION" { major = $3 } $2 == "SUITESPARSE_SUB_VERSION" { minor = $3 }
         END { printf "%d.%d\n", major, minor }' "${1%/*}/SuiteSparse_config.h" 2>/dev/null || echo 0.0
}

# Requirements to try, best first: scikit-sparse 0.5 builds with SuiteSparse >= 7.4 only.
scikit_sparse_candidates() {
    local major=${1%.*} minor=${1#*.}
    if [ "$major" -gt 7 ] || { [ "$major" -eq 7 ] && [ "$minor" -ge 4 ]; }; then
        echo 'scikit-sparse>=0.5'
    fi
    echo 'scikit-sparse>=0.4.16,<0.5'
}

# An interpreter that is recent enough: PYTHON if it is set, else python3, else a numbered one.
find_python() {
    local name
    for name in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python3.10}; do
        "$name" -c 'import sys; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1 || continue
        command -v "$name"
        return 0
    done
    return 1
}

package_manager() {
    local name
    for name in apt-get dnf brew; do
        command -v "$name" >/dev/null 2>&1 && echo "$name" && return 0
    done
    echo none
}

# The manager's packages for what is missing, on one line; empty when all is there.
# Arguments: manager, python (empty when there is none).
missing_packages() {
    local manager=$1 python=$2 packages=
    [ -n "$python" ] || packages="$packages $(package_name "$manager" python)"
    if [ -z "$python" ] || ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        packages="$packages $(package_name "$manager" venv)"
    fi
    cholmod_header >/dev/null || packages="$packages $(package_name "$manager" suitesparse)"
    command -v cc >/dev/null 2>&1 || command -v gcc >/dev/null 2>&1 ||
        packages="$packages $(package_name "$manager" compiler)"
    if [ -z "$python" ] || ! has_python_headers "$python"; then
        packages="$packages $(package_name "$manager" headers)"
    fi
    echo $packages # unquoted: single spaces, none at the ends
}

has_python_headers() {
    "$1" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")))' >/dev/null 2>&1
}

# One need under the name of each manager.
package_name() {
    case $1:$2 in
        apt-get:python) echo python3 ;;
        apt-get:venv) echo python3-venv ;;
        apt-get:suitesparse) echo libsuitesparse-dev ;;
        apt-get:compiler) echo gcc libc6-dev ;;
        apt-get:headers) echo python3-dev ;;
        dnf:python | dnf:venv) echo python3 ;;
        dnf:suitesparse) echo suitesparse-devel ;;
        dnf:compiler) echo gcc ;;
        dnf:headers) echo python3-devel ;;
        brew:python | brew:venv | brew:headers) echo python ;;
        brew:suitesparse) echo suite-sparse ;;
        brew:compiler) echo gcc ;;
        none:suitesparse) echo SuiteSparse ;;
        none:compiler) echo 'a C compiler' ;;
        none:headers) echo "Python's headers" ;;
        none:*) echo "Python >= 3.10 with venv" ;;
    esac
}

# Homebrew works for a plain user; the others need root, or sudo that asks for no password.
can_install() {
    [ "$1" = brew ] || [ "$(id -u)" -eq 0 ] || sudo -n true >/dev/null 2>&1
}

install_command() {
    if [ "$1" = brew ]; then echo brew install; else echo "$1 install -y"; fi
}

install_packages() {
    local manager=$1 packages=$2 root=
    [ "$manager" = brew ] || [ "$(id -u)" -eq 0 ] || root='sudo -n'
    if [ "$manager" = apt-get ]; then
        root="$root env DEBIAN_FRONTEND=noninteractive"
        $root apt-get update -qq || true
        $root apt-get install -y -qq --no-install-recommends $packages >/dev/null
    else
        $root $(install_command "$manager") $packages
    fi
}
