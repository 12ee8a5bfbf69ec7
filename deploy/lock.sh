#!/bin/sh
# Makes requirements/*.lock again from pyproject.toml. What is locked keeps its version unless
# `deploy/lock.sh --upgrade` (or --upgrade-package NAME) asks for newer ones.
set -eu
cd "$(dirname "$0")/.."

[ -x build/uv/bin/uv ] || {
    python3 -m venv build/uv
    PIP_DISABLE_PIP_VERSION_CHECK=1 build/uv/bin/pip install -qq 'uv>=0.9'
}
for extra in login node dev; do
    build/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --custom-compile-command deploy/lock.sh \
        --extra "$extra" "$@" pyproject.toml --output-file "requirements/$extra.lock"
done
