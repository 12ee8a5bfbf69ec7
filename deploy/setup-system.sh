#!/bin/sh
# What the system tests need beside .venv: system packages (installed as root, otherwise named in one
# line to copy) and the npm packages of package-lock.json, run by the Node of .venv.
set -eu
cd "$(dirname "$0")/.."
. deploy/apt.sh

missing=
for package in $(sed 's/#.*//' deploy/system-packages.txt); do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q ' installed$' ||
        missing="$missing $package"
done
# shellcheck disable=SC2086  # a list of package names
[ -z "$missing" ] || install_packages $missing

wanted=$(cat package.json package-lock.json .npmrc | sha256sum | cut -d' ' -f1)
[ "$(cat node_modules/.installed-from 2>/dev/null || true)" = "$wanted" ] && exit 0
echo "psp: installing npm packages into node_modules" >&2
PATH="$PWD/.venv/bin:$PATH" npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
echo "$wanted" >node_modules/.installed-from
