#!/usr/bin/env bash
# Makes .env out of .env.example, with secrets that are made up, and alerts/alerts.yml out of the
# example, in this folder. What is there stays as it is. MONITOR_LANG=zh: in Chinese.
set -euo pipefail
cd "$(dirname "$0")/.."
umask 077

if [ -e .env ]; then
    echo "env: .env is there already and stays as it is; remove it to have a new one" >&2
    exit 1
fi
language=${MONITOR_LANG:-en}
if [ ! -e "exporter/rules/example.$language.yml" ]; then
    echo "env: MONITOR_LANG=$language: expected en or zh" >&2
    exit 2
fi
secret() { head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }
# Line by line in the shell itself: a secret on a command line is shown to every user of the machine.
while IFS= read -r line; do
    case $line in
    BREAKER_TOKEN=) line=BREAKER_TOKEN=$(secret) ;;
    GRAFANA_ADMIN_PASSWORD=*) line=GRAFANA_ADMIN_PASSWORD=$(secret) ;;
    MONITOR_LANG=*) line=MONITOR_LANG=$language ;;
    esac
    printf '%s\n' "$line"
done <.env.example >.env.new
mv .env.new .env
umask 022
mkdir -p alerts
[ -e alerts/alerts.yml ] || cp "exporter/rules/example.$language.yml" alerts/alerts.yml
echo "env: made .env (BREAKER_TOKEN, GRAFANA_ADMIN_PASSWORD are filled in); now set SQL_DSN in it, and your rules in alerts/alerts.yml"
