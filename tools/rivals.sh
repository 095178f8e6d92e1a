#!/usr/bin/env bash
# Fetches into .tools/ what benchmarks/keeping_up.py compares the exporter with, where it is missing:
# query-exporter by pip, with the driver of MySQL that the exporter has too, and Debian's
# prometheus-sql-exporter. Nothing is installed, enabled or started.
set -euo pipefail
# shellcheck source=tools/apt.sh
. "$(dirname "$0")/apt.sh"
mkdir -p "$root/.tools"
tools=$(cd "$root/.tools" && pwd -P)
query_exporter=5.0.2
pymysql=1.2.4

have_query_exporter() { "$tools/query-exporter/bin/query-exporter" --version 2>/dev/null | grep -qw "$query_exporter"; }
have_sql_exporter() { [ -x "$tools/sql-exporter/usr/bin/prometheus-sql-exporter" ]; }
have_both() { have_query_exporter && have_sql_exporter; }

have_both && exit 0
if command -v flock >/dev/null; then
    exec 9>"$tools/lock"
    flock 9
    have_both && exit 0 # another call may just have fetched them
fi
have_query_exporter || {
    say "fetching query-exporter, by pip, into $tools/query-exporter"
    "$root/.venv/bin/python" -m venv --clear --without-pip "$tools/query-exporter"
    "$root/.venv/bin/pip" --quiet --python "$tools/query-exporter/bin/python" install \
        "query-exporter==$query_exporter" "pymysql==$pymysql"
    have_query_exporter || fail "query-exporter was fetched but does not run"
}
have_sql_exporter || {
    say "fetching prometheus-sql-exporter from this machine's apt sources, unpacked into $tools/sql-exporter"
    apt_prepare "this comparison needs Debian's or Ubuntu's prometheus-sql-exporter"
    apt_unpack "$tools/sql-exporter" prometheus-sql-exporter
}
