#!/bin/sh
# Makes .venv from the hashed lock; what the machine lacks is installed through apt when we are root
# and otherwise named in one line to copy. A second run with nothing changed costs milliseconds; after
# a new lock only what differs is installed.
set -eu
cd "$(dirname "$0")/.."
. deploy/apt.sh

export PIP_DISABLE_PIP_VERSION_CHECK=1
# An active .venv is not what .venv is made with.
PATH=$(printf %s "$PATH" | sed "s|$PWD/.venv/bin:||g")

# The place counts too: a copy of the folder must not use the original's .venv.
fingerprint() { { pwd; cat "$@"; } | sha256sum | cut -d' ' -f1; }
fits() { [ "$(cat ".venv/.$1" 2>/dev/null || true)" = "$2" ]; }

place=$(fingerprint deploy/setup.sh)
packages=$(fingerprint requirements/dev.lock)
project=$(fingerprint pyproject.toml)

# What a compiler needs is asked for too: libp2p brings fastecdsa, which has no Linux wheel.
require_machine() {
    missing=
    if ! command -v python3 >/dev/null; then
        missing="python3 python3-venv python3-dev"
    elif ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        echo "psp: Python 3.11 or newer is needed, this is $(python3 -V 2>&1)" >&2
        exit 1
    else
        python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
        python3 -c 'import os, sysconfig as s; os.stat(s.get_path("include") + "/Python.h")' 2>/dev/null ||
            missing="$missing python3-dev"
    fi
    command -v gcc >/dev/null || missing="$missing gcc libc6-dev"
    echo '#include <gmp.h>' | gcc -E -x c - >/dev/null 2>&1 || missing="$missing libgmp-dev"
    # shellcheck disable=SC2086  # a list of package names
    [ -z "$missing" ] || install_packages $missing ca-certificates
}

if [ ! -x .venv/bin/python ] || ! fits place "$place"; then
    require_machine
    rm -rf .venv
    python3 -m venv .venv
    echo "$place" >.venv/.place
fi
if ! fits packages "$packages"; then
    echo "psp: installing Python packages into .venv (once, one to three minutes)" >&2
    .venv/bin/pip install -qq --require-hashes --no-deps -r requirements/dev.lock >&2
    # Stale stubs: with them mypy takes the code after `with trio.move_on_after(...)` for unreachable.
    rm -rf .venv/lib/python3*/site-packages/trio-stubs
    echo "$packages" >.venv/.packages
fi
if ! fits project "$project"; then
    .venv/bin/pip install -qq --no-deps --no-build-isolation -e . >&2
    echo "$project" >.venv/.project
fi
