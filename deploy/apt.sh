# Sourced by the set-up scripts. install_packages NAME...: as root through apt, otherwise one line to
# copy and an end.
install_packages() {
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "psp: installing $*" >&2
        export DEBIAN_FRONTEND=noninteractive
        apt-get -qq update >&2
        apt-get -qq -o Dpkg::Use-Pty=0 install -y --no-install-recommends "$@" >/dev/null
    else
        echo "psp: this machine lacks $*; run:" >&2
        echo "  sudo apt-get install -y $*" >&2
        exit 1
    fi
}
