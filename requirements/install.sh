#!/usr/bin/env bash
# Make .venv hold exactly what requirements/<profile>.lock pins, and this project in editable form.
#
#   requirements/install.sh cpu|gpu        `make setup` calls it; PYTHON names another Python 3.11
#
# Two stamps inside .venv, each written last, say what is complete: one for the lock, one for the project.
# A .venv without a fitting lock stamp (interrupted, moved, other lock) is built anew from nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

profile=${1:?usage: requirements/install.sh cpu|gpu}
lock=requirements/$profile.lock
venv=.venv
log=.cache/setup.log

fail() {
    printf 'setup: %s\n' "$@" >&2
    exit 2
}

key() { # one line that changes when the place or any of the files given does
    { pwd -P; cat "$@"; } | sha256sum
}

stamped() { # stamped NAME KEY: is NAME complete, for this very key?
    [ -x "$venv/bin/python" ] && [ "$(cat "$venv/$1" 2> /dev/null)" = "$2" ]
}

quietly() { # run a command into the log; on failure print the end of the log
    if ! "$@" >> "$log" 2>&1; then
        tail -n 12 "$log" | cut -c 1-300 >&2
        fail "this failed: $*" "the whole log: $log; run the same command again to retry"
    fi
}

pip_install() {
    "$venv/bin/python" -m pip --disable-pip-version-check --no-input install --progress-bar off \
        --no-deps --no-build-isolation --no-compile "$@"
}

install_torch() {
    local torch
    torch=$(grep '^torch==' "$lock")
    # Not every index has the CPU build; PyTorch's own does. It is named for this one package only, since it
    # holds other builds of some of the rest.
    pip_install "$torch" \
        || { [ "$profile" = cpu ] && pip_install --extra-index-url https://download.pytorch.org/whl/cpu "$torch"; }
}

install_lock() {
    echo "setup: installing $(grep -c '==' "$lock") packages of $lock into $venv, a few minutes (log: $log)"
    # The interpreter below a virtual environment: the active one may be the .venv that is about to go.
    local python
    python=$("$PYTHON" -c 'import sys; print(sys._base_executable)')
    rm -rf "$venv"
    quietly "$python" -m venv "$venv"
    echo "$profile" > "$venv/profile" # the Makefile's default from now on
    # First what builds the few source packages, so that they too are built by pinned versions.
    quietly pip_install "$(grep '^setuptools==' "$lock")"
    quietly install_torch
    quietly pip_install -r "$lock"
    # Bytecode on all cores, where pip uses one. Some packages carry files of other Pythons: no failure of ours.
    "$venv/bin/python" -m compileall -q -j 0 "$venv/lib" >> "$log" 2>&1 || true
}

[ -f "$lock" ] || fail "no $lock; the profiles are cpu and gpu"
lock_key=$(key "$lock")
project_key=$(key "$lock" pyproject.toml)
if stamped lock.stamp "$lock_key" && stamped project.stamp "$project_key"; then
    exit 0
fi

PYTHON=${PYTHON:-python3.11}
"$PYTHON" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2> /dev/null \
    || fail "$PYTHON is missing or is not Python 3.11, which this project needs" \
            "install it (Debian 12: apt-get install python3.11 python3.11-venv)" \
            "or name one: make setup PYTHON=/path/to/python3.11"
"$PYTHON" -c 'import ensurepip, venv' 2> /dev/null \
    || fail "$PYTHON cannot make virtual environments (Debian 12: apt-get install python3.11-venv)"

mkdir -p .cache
exec 9> .cache/setup.lock
flock --nonblock 9 || {
    echo "setup: waiting for another setup of this folder"
    flock 9
}
if ! stamped lock.stamp "$lock_key"; then
    : > "$log"
    install_lock
    echo "$lock_key" > "$venv/lock.stamp"
fi
if ! stamped project.stamp "$project_key"; then
    rm -f "$venv/project.stamp"
    quietly pip_install --editable .
    echo "$project_key" > "$venv/project.stamp"
    echo "setup: done"
fi
