#!/usr/bin/env bash
# Finds the servers that tests and the demo run, and unpacks into .tools/ those that are missing:
#   tools/servers.sh [prometheus] [alertmanager] [mariadb] [postgres]      (none named: all)
# Order: the environment's variable, PATH, .tools/. Nothing is installed, enabled or started.
set -euo pipefail
# shellcheck source=tools/apt.sh
. "$(dirname "$0")/apt.sh"
tools="$root/.tools"

PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

# given VARIABLE: is it set? Then it has to be right.
given() {
    local value=${!1:-}
    [ -n "$value" ] || return 1
    command -v "$value" >/dev/null || fail "$1=$value is not a program"
}

on_path() {
    local name
    for name in "$@"; do command -v "$name" >/dev/null && return; done
    return 1
}

unpacked() { [ -x "$tools/bin/$1" ]; }

have() {
    case $1 in
        prometheus) have_one PROMETHEUS prometheus && have_beside PROMETHEUS PROMTOOL promtool ;;
        alertmanager) have_one ALERTMANAGER alertmanager prometheus-alertmanager &&
            have_beside ALERTMANAGER AMTOOL amtool ;;
        mariadb) have_one MARIADBD mariadbd && { given MARIADBD ||
            { have_one '' mariadb-install-db && have_one '' mariadb; }; } ;;
        postgres)
            if [ -n "${POSTGRES_BIN:-}" ]; then
                [ -x "$POSTGRES_BIN/initdb" ] || fail "POSTGRES_BIN=$POSTGRES_BIN has no initdb"
            else
                have_one '' postgres /usr/lib/postgresql/*/bin/postgres &&
                    have_one '' initdb /usr/lib/postgresql/*/bin/initdb
            fi ;;
    esac
}

have_one() {
    local variable=$1
    shift
    { [ -n "$variable" ] && given "$variable"; } || on_path "$@" || unpacked "$1"
}

# A tool may stand beside the server that the environment names.
have_beside() {
    local server=${!1:-}
    [ -n "$server" ] && [ -x "$(dirname "$(command -v "$server")")/$3" ] || have_one "$2" "$3"
}

packages() {
    case $1 in
        # Newer releases keep the tools in packages of their own.
        prometheus) echo prometheus "$(apt_newest promtool)" ;;
        alertmanager) echo prometheus-alertmanager "$(apt_newest amtool)" ;;
        mariadb) echo mariadb-server-core mariadb-client-core ;;
        postgres)
            local server
            server=$(apt_newest 'postgresql-[0-9]+')
            echo "${server:-postgresql}" "${server/postgresql-/postgresql-client-}" ;;
    esac
}

# wrapper NAME PROGRAM [ARGUMENT...]: what runs the unpacked program; the arguments go last
wrapper() {
    local name=$1 program=$2
    shift 2
    cat >"$tools/bin/$name.new" <<WRAPPER
#!/bin/sh
root=\$(cd "\${0%/*}/../root" && pwd)
export LD_LIBRARY_PATH="\$root/usr/lib/$triplet:\$root/lib/$triplet\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
$prelude
exec "\$root$program" "\$@" $*
WRAPPER
    chmod 755 "$tools/bin/$name.new"
    mv "$tools/bin/$name.new" "$tools/bin/$name"
}

# Those that do not run take their wrapper with them, so that the next call tries again.
verify() {
    local name log="$tools/verify.log"
    for name in "$@"; do
        LC_ALL=C "$tools/bin/$name" --version >"$log" 2>&1 && continue
        cat "$log" >&2
        rm "$tools/bin/$name" "$log"
        fail "$name was unpacked into $tools/root but does not run"
    done
    rm -f "$log"
}

wrappers() {
    # shellcheck disable=SC2016  # for the wrapper, which knows its own root
    local folder prelude='' basedir='--basedir="$root/usr"'
    case $1 in
        prometheus)
            wrapper prometheus /usr/bin/prometheus
            wrapper promtool /usr/bin/promtool
            verify prometheus promtool ;;
        alertmanager)
            relocate_alertmanager "$tools/root"
            # shellcheck disable=SC2016  # for the wrapper
            [ ! -d "$tools/root$alertmanager_assets" ] || prelude='exec 9<"$root'"$alertmanager_assets\""
            wrapper alertmanager /usr/bin/prometheus-alertmanager
            prelude=''
            wrapper amtool /usr/bin/amtool
            verify alertmanager amtool ;;
        mariadb)
            wrapper mariadbd /usr/sbin/mariadbd "$basedir"
            wrapper mariadb-install-db /usr/bin/mariadb-install-db "$basedir"
            wrapper mariadb /usr/bin/mariadb
            verify mariadbd mariadb ;;
        postgres)
            folder=$(cd "$tools/root" && printf '/%s\n' usr/lib/postgresql/*/bin | sort -V | tail -n 1)
            wrapper postgres "$folder/postgres"
            wrapper initdb "$folder/initdb"
            verify postgres initdb ;;
    esac
}

look() {
    local part
    missing=()
    for part in "$@"; do have "$part" || missing+=("$part"); done
    [ ${#missing[@]} -gt 0 ] || exit 0
}

[ $# -gt 0 ] || set -- prometheus alertmanager mariadb postgres
for part in "$@"; do
    [[ " prometheus alertmanager mariadb postgres " == *" $part "* ]] || fail "no such server: $part"
done

look "$@"
mkdir -p "$tools/bin"
if command -v flock >/dev/null; then
    exec 9>"$tools/lock"
    flock 9
    look "$@" # another call may just have fetched them
fi
say "fetching ${missing[*]} from this machine's apt sources, unpacked into $tools (nothing is installed)"
apt_prepare "install ${missing[*]} yourself, or name them in PROMETHEUS, PROMTOOL, ALERTMANAGER, AMTOOL, MARIADBD, POSTGRES_BIN"
triplet=$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || echo "$(uname -m)-linux-gnu")
wanted=()
for part in "${missing[@]}"; do
    read -r -a names <<<"$(packages "$part")"
    wanted+=("${names[@]}")
done
closure=$(apt_closure "${wanted[@]}")
mapfile -t closure <<<"$closure"
apt_unpack "$tools/root" "${closure[@]}"
for part in "${missing[@]}"; do wrappers "$part"; done
say "ready: ${missing[*]} ($(du -sh "$tools/root" | cut -f1))"
