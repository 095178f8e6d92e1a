#!/usr/bin/env bash
# Makes .venv/ with everything that tests and the demo need, pinned by hash:
#   [PYTHON=python3.12] tools/venv.sh
# Packages come by pip as it is set up on this machine. Where Python lacks ensurepip (Debian's
# python3-venv is not installed), pip is taken from the distribution's package, unpacked.
set -euo pipefail
# shellcheck source=tools/apt.sh
. "$(dirname "$0")/apt.sh"
venv="$root/.venv"

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

interpreter() {
    local name
    if [ -n "${PYTHON:-}" ]; then
        new_enough "$PYTHON" || fail "PYTHON=$PYTHON is not a Python 3.11 or newer"
        echo "$PYTHON"
        return
    fi
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        if new_enough "$name"; then
            echo "$name"
            return
        fi
    done
    fail "no Python 3.11 or newer found: install one, or name it in PYTHON"
}

# The folder of the real interpreter, and its version: what a .venv is bound to.
identity() { "$1" -c 'import sys; print(sys.base_prefix, *sys.version_info[:2])' 2>/dev/null; }

make_venv() {
    local python=$1 wheel
    rm -rf "$venv"
    if "$python" -c 'import ensurepip, venv' 2>/dev/null && "$python" -m venv "$venv" >/dev/null 2>&1; then
        return
    fi
    rm -rf "$venv"
    "$python" -m venv --without-pip "$venv" || fail "$python has no venv module"
    say "$python has no ensurepip: taking pip from the package python3-pip-whl, unpacked into $root/.tools"
    apt_prepare "install python3-venv yourself"
    apt_unpack "$root/.tools/pip" python3-pip-whl
    wheel=$(printf '%s\n' "$root"/.tools/pip/usr/share/python-wheels/pip-*.whl | tail -n 1)
    "$venv/bin/python" "$wheel/pip" install --quiet --no-index --no-deps "$wheel"
}

python=$(interpreter)
if [ ! -x "$venv/bin/pip" ] || [ "$(identity "$venv/bin/python")" != "$(identity "$python")" ]; then
    make_venv "$python"
fi
say "fetching what requirements/dev.txt pins, by pip, into $venv"
pip() { "$venv/bin/python" -m pip --quiet --disable-pip-version-check "$@"; }
pip install --require-hashes -r "$root/requirements/dev.txt"
pip install --no-deps --no-build-isolation --editable "$root"
