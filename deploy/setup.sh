#!/bin/sh
# Makes .venv from the hashed lock; what the machine lacks is installed through apt when we are root
# and otherwise named in one line to copy. A second run with nothing changed costs milliseconds.
set -eu
cd "$(dirname "$0")/.."

stamp=.venv/.installed-from
wanted=$(cat requirements/dev.lock pyproject.toml deploy/setup.sh | sha256sum | cut -d' ' -f1)
[ "$(cat "$stamp" 2>/dev/null || true)" = "$wanted" ] && exit 0

python=$(command -v python3) || python=
missing=
[ -n "$python" ] || missing="$missing python3"
[ -n "$python" ] && "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    [ -z "$python" ] || { echo "psp: Python 3.11 or newer is needed, this is $("$python" -V 2>&1)" >&2; exit 1; }
}
# libp2p brings fastecdsa, which has no Linux wheel: it is compiled here.
[ -n "$python" ] && "$python" -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
header=$([ -n "$python" ] && "$python" -c 'import sysconfig; print(sysconfig.get_path("include") + "/Python.h")' || true)
[ -n "$header" ] && [ -e "$header" ] || missing="$missing python3-dev"
command -v gcc >/dev/null || missing="$missing gcc libc6-dev"
echo '#include <gmp.h>' | gcc -E -x c - >/dev/null 2>&1 || missing="$missing libgmp-dev"

if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "psp: installing$missing" >&2
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq >&2
        # shellcheck disable=SC2086  # a list of package names
        apt-get install -y -qq --no-install-recommends $missing ca-certificates >&2
    else
        echo "psp: this machine lacks$missing; run:" >&2
        echo "  sudo apt-get install -y$missing" >&2
        exit 1
    fi
fi

echo "psp: installing Python packages into .venv (once, one to three minutes)" >&2
rm -rf .venv
python3 -m venv .venv
PIP_DISABLE_PIP_VERSION_CHECK=1 .venv/bin/pip install -qq --require-hashes --no-deps -r requirements/dev.lock >&2
PIP_DISABLE_PIP_VERSION_CHECK=1 .venv/bin/pip install -qq --no-deps --no-build-isolation -e . >&2
# Stale stubs: with them mypy takes the code after `with trio.move_on_after(...)` for unreachable.
rm -rf .venv/lib/python3*/site-packages/trio-stubs
echo "$wanted" >"$stamp"
