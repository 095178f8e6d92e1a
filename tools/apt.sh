# shellcheck shell=bash
# Packages from the machine's own apt sources, unpacked into .tools/ and not installed:
# apt's lists and cache are private, its view of what is installed is the machine's.
# To be sourced; sets root, the repository. The user root is not needed, no service is touched.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
apt_dir="$root/.tools/apt"
apt_status=/var/lib/dpkg/status # what is installed
apt_sources=                    # other sources than the machine's: a file

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
fail() { say "$*"; exit 1; }

apt_prepare() {
    command -v apt-get >/dev/null || fail "no apt-get here: $1"
    mkdir -p "$apt_dir/state/lists/partial" "$apt_dir/cache/archives/partial"
    cat >"$apt_dir/apt.conf" <<CONF
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
Dir::State "$apt_dir/state";
Dir::State::status "$apt_status";
${apt_sources:+Dir::Etc::SourceList \"$apt_sources\"; Dir::Etc::SourceParts \"-\"; Dir::Etc::PreferencesParts \"-\";}
Dir::Cache "$apt_dir/cache";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Cache::srcpkgcache "";
Debug::NoLocking "true";
APT::Sandbox::User "root";
APT::Get::List-Cleanup "false";
Acquire::GzipIndexes "true";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::CNF::DefaultEnabled "false";
Acquire::Retries "2";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
CONF
    # A source that cannot be reached (often a third party's) only costs a warning:
    # whether the packages are found decides.
    [ -n "$(find "$apt_dir/updated" -mmin -60 2>/dev/null)" ] && return
    apt_get -qq update >"$apt_dir/update.log" 2>&1 || true
    grep -q 'Failed to fetch' "$apt_dir/update.log" || touch "$apt_dir/updated"
}

apt_get() { LC_ALL=C apt-get -c "$apt_dir/apt.conf" "$@"; }

# The newest package whose name matches a regular expression.
apt_newest() { LC_ALL=C apt-cache -c "$apt_dir/apt.conf" pkgnames | { grep -xE "$1" || true; } | sort -V | tail -n 1; }

# Those packages and the shared libraries that they need and the machine lacks.
apt_closure() {
    local plan
    plan=$(apt_get install -y --reinstall --no-install-recommends --print-uris "$@" 2>"$apt_dir/plan.log") || {
        cat "$apt_dir/update.log" "$apt_dir/plan.log" >&2
        fail "apt does not find: $* (is a Debian or Ubuntu archive among the machine's apt sources?)"
    }
    # PostgreSQL runs without LLVM (jit=off), scripts' libraries are of no use here, and
    # libc6 must be the machine's own, as its loader is.
    { printf '%s\n' "$@"; sed -nE "s/^'[^']*' ([^_]+)_.*/\1/p" <<<"$plan" |
        awk '/^lib/ && !/^(libjs-|libllvm|libc6$|libc-|libpython|libperl|libz3)|-(perl|dev|data)$/'; } | sort -u
}

# apt_unpack FOLDER PACKAGE...
apt_unpack() {
    local folder=$1 debs
    shift
    debs=$(mktemp -d "$apt_dir/debs.XXXXXX")
    (cd "$debs" && apt_get -qq download "$@" >"$apt_dir/download.log" 2>&1) || {
        cat "$apt_dir/download.log" >&2
        rm -rf "$debs"
        fail "could not download: $*"
    }
    mkdir -p "$folder"
    for deb in "$debs"/*.deb; do dpkg-deb -x "$deb" "$folder"; done
    rm -rf "$debs"
}

# Debian's Alertmanager reads its templates from a fixed folder of the system. The one that is unpacked below a
# folder is given a path of the same length instead: the file descriptor 9, which its wrapper has to open on them.
alertmanager_assets=/usr/share/prometheus/alertmanager
relocate_alertmanager() {
    [ ! -d "$1$alertmanager_assets" ] ||
        LC_ALL=C sed -i "s|$alertmanager_assets|/proc/self//./././././././././fd/9|g" "$1/usr/bin/prometheus-alertmanager"
}
