#!/bin/sh
# Runs make targets on a bare Debian 12: a new tree with python3, make and git and nothing else.
#
#     deploy/try-bare.sh [TARGET...]      default: demo test
#
# First as a stranger without root, who must be told in one line what is missing; then the targets as
# root, who gets it installed; then `make test` in a clone of the stranger's own. Takes the mirror, the
# proxy and the certificates of this machine. Needs root and debootstrap; leaves nothing behind.
set -eu
cd "$(dirname "$0")/.."
. deploy/apt.sh

suite=bookworm
[ "$(id -u)" = 0 ] || { echo "psp: debootstrap and chroot need root" >&2; exit 1; }
command -v debootstrap >/dev/null || install_packages debootstrap
mirror=$(apt-get indextargets --format '$(ORIGIN) $(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
    sed -n "s/^Debian $suite //p" | head -n 1)
[ -n "$mirror" ] || { echo "psp: apt knows no mirror of Debian $suite" >&2; exit 1; }

tree=$(mktemp -d)
trap 'rm -rf --one-file-system "$tree"' EXIT
trap 'exit 130' INT TERM
debootstrap --variant=minbase --include=python3,make,git "$suite" "$tree/root" "$mirror" >"$tree/log" 2>&1 || {
    tail -n 20 "$tree/log" >&2
    exit 1
}

# How this machine reaches the network: a bare one would have its own way.
copy() { for file in "$@"; do [ ! -f "$file" ] || install -D -m 644 "$file" "$tree/root$file"; done; }
copy /etc/resolv.conf /etc/hosts /etc/pip.conf /usr/local/share/ca-certificates/*.crt
copy $(grep -ls Acquire /etc/apt/apt.conf /etc/apt/apt.conf.d/*)
git clone -q --no-hardlinks . "$tree/root/srv/peerstream"

cat >"$tree/root/srv/try" <<'END'
set -eu
cd /srv/peerstream
said=$(mktemp)
useradd --create-home --home-dir /srv/stranger stranger
as_stranger() { setpriv --reuid stranger --regid stranger --clear-groups env HOME=/srv/stranger "$@"; }

git clone -q . /srv/stranger/peerstream
chown -R stranger: /srv/stranger/peerstream
echo "== a stranger: make setup"
! as_stranger make -C /srv/stranger/peerstream setup 2>"$said"
cat "$said"
grep -q '^  sudo apt-get install -y ' "$said"

for target; do
    echo "== root: make $target"
    make "$target"
done
echo "== a stranger: make test"
as_stranger make -C /srv/stranger/peerstream test
END

# Name spaces of mounts and processes: what is mounted or still running ends with this command.
passed=$(env | sed -nE 's/^((PIP_|SSL_)[A-Z_]*|REQUESTS_CA_BUNDLE|NODE_EXTRA_CA_CERTS|([a-zA-Z]+_)(proxy|PROXY))=.*/\1/p')
set -- sh /srv/try "$@"
[ $# -gt 2 ] || set -- "$@" demo test
for name in $passed; do
    set -- "$name=$(printenv "$name")" "$@"
done
# shellcheck disable=SC2016  # the inner shell expands
unshare --mount --pid --fork --kill-child sh -c '
    root=$1 && shift
    mount -t proc proc "$root/proc"
    mount -t tmpfs tmpfs "$root/tmp"
    mkdir -p "$root/dev/shm" && mount -t tmpfs tmpfs "$root/dev/shm"
    exec chroot "$root" env -i HOME=/root LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
' sh "$tree/root" "$@" </dev/null
