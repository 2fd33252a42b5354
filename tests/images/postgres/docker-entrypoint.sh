#!/bin/bash
# The part of the official image's contract that stacks rely on: POSTGRES_USER, POSTGRES_PASSWORD or _FILE, POSTGRES_DB,
# /docker-entrypoint-initdb.d/*.sql on the first start; then postgres takes the place of this process.
set -euo pipefail
if [ "$1" != postgres ]; then
    exec "$@"
fi
if [ "$(id -u)" = 0 ]; then
    mkdir -p "$PGDATA" /var/run/postgresql
    chown postgres:postgres "$PGDATA" /var/run/postgresql
    chmod 700 "$PGDATA"
    password=${POSTGRES_PASSWORD:-}
    if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then
        password=$(cat "$POSTGRES_PASSWORD_FILE")
    fi
    POSTGRES_PASSWORD=$password exec setpriv --reuid postgres --regid postgres --init-groups "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    user=${POSTGRES_USER:-postgres}
    database=${POSTGRES_DB:-$user}
    if [ -z "${POSTGRES_PASSWORD:-}" ]; then
        echo "Error: set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE" >&2
        exit 1
    fi
    initdb --username "$user" --pwfile <(printf '%s' "$POSTGRES_PASSWORD") --auth-host scram-sha-256 --auth-local trust
    printf 'host all all all scram-sha-256\n' >>"$PGDATA/pg_hba.conf"
    # Without TCP, so that nobody connects before the database is whole.
    pg_ctl --wait -o "-c listen_addresses=''" start
    if [ "$database" != postgres ]; then
        createdb --username "$user" "$database"
    fi
    for script in /docker-entrypoint-initdb.d/*.sql; do
        [ ! -f "$script" ] || psql -v ON_ERROR_STOP=1 --username "$user" --dbname "$database" -f "$script"
    done
    pg_ctl --wait -m fast stop
fi
unset POSTGRES_PASSWORD
exec postgres -c listen_addresses='*'
