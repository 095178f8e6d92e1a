#!/usr/bin/env bash
# Unpacks Prometheus and Alertmanager of another Debian release, and VictoriaMetrics, into .tools/versions/SUITE:
#   tools/versions.sh SUITE          (as trixie or forky; prints what to set for the tests)
# The machine's own apt sources are asked, for that release; nothing is installed.
set -euo pipefail
# shellcheck source=tools/apt.sh
. "$(dirname "$0")/apt.sh"

[ $# -eq 1 ] || fail "which release of Debian? Such as: tools/versions.sh trixie"
suite=$1
[[ $suite =~ ^[a-z]+$ ]] || fail "$suite is no name of a release"
folder="$root/.tools/versions/$suite"
bin="$folder/bin"

# Prints the variables of what there is, and fails without Prometheus and Alertmanager.
settings() {
    local name
    for name in prometheus promtool alertmanager amtool victoria-metrics vmalert vmalert-tool; do
        if [ -x "$bin/$name" ]; then
            printf '%s=%s\n' "$(tr 'a-z-' 'A-Z_' <<<"$name")" "$bin/$name"
        elif [ "${name#v}" = "$name" ]; then
            fail "$suite has no $name"
        fi
    done
}

if [ -e "$folder/.complete" ]; then
    settings
    exit
fi

# The sources of this machine with the other release in place of theirs: the first stanza of Debian's own file,
# or the first line of the old form.
sources() {
    local deb822=/etc/apt/sources.list.d/debian.sources old=/etc/apt/sources.list
    if [ -s "$deb822" ]; then
        sed -n '1,/^$/p' "$deb822" | sed "s/^Suites:.*/Suites: $suite/"
    elif [ -s "$old" ]; then
        grep -m 1 '^deb ' "$old" | awk -v suite="$suite" '{ for (i = 2; i < NF; i++) if ($i ~ /:\/\//) { $(i + 1) = suite; print; exit } }'
    fi
}

apt_dir="$folder/apt"
mkdir -p "$apt_dir" "$bin"
name=other.list
[ -s /etc/apt/sources.list.d/debian.sources ] && name=other.sources
sources >"$apt_dir/$name"
[ -s "$apt_dir/$name" ] || fail "no Debian archive among this machine's apt sources"
: >"$apt_dir/status"
apt_sources="$apt_dir/$name"
apt_status="$apt_dir/status"
say "fetching Prometheus, Alertmanager and VictoriaMetrics of $suite, unpacked into $folder (nothing is installed)"
apt_prepare "the tests run on what PROMETHEUS, ALERTMANAGER, VMALERT and so on name"
wanted=(prometheus prometheus-alertmanager victoria-metrics)
for name in promtool amtool; do # packages of their own in newer releases
    package=$(apt_newest "$name")
    if [ -n "$package" ]; then wanted+=("$package"); fi
done
apt_unpack "$folder/root" "${wanted[@]}"
for name in prometheus promtool amtool victoria-metrics vmalert vmalert-tool; do
    if [ -x "$folder/root/usr/bin/$name" ]; then ln -sf "../root/usr/bin/$name" "$bin/$name"; fi
done
relocate_alertmanager "$folder/root"
cat >"$bin/alertmanager" <<WRAPPER
#!/bin/sh
root=\$(cd "\${0%/*}/../root" && pwd)
[ ! -d "\$root$alertmanager_assets" ] || exec 9<"\$root$alertmanager_assets"
exec "\$root/usr/bin/prometheus-alertmanager" "\$@"
WRAPPER
chmod 755 "$bin/alertmanager"
touch "$folder/.complete"
settings
