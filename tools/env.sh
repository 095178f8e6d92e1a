#!/usr/bin/env bash
# Makes .env out of .env.example, with secrets that are made up, and alerts/alerts.yml out of the
# example, in this folder. What is there stays as it is.
set -euo pipefail
cd "$(dirname "$0")/.."
umask 077

if [ -e .env ]; then
    echo "env: .env is there already and stays as it is; remove it to have a new one" >&2
    exit 1
fi
secret() { head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }
sed -e "s/^BREAKER_TOKEN=$/&$(secret)/" -e "s/^GRAFANA_ADMIN_PASSWORD=.*/GRAFANA_ADMIN_PASSWORD=$(secret)/" .env.example >.env.new
mv .env.new .env
umask 022
mkdir -p alerts
[ -e alerts/alerts.yml ] || cp alerts.yml alerts/
echo "env: made .env (BREAKER_TOKEN, GRAFANA_ADMIN_PASSWORD are filled in); now set SQL_DSN in it, and your rules in alerts/alerts.yml"
