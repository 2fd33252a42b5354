#!/bin/sh
# DATABASE_URL or DB_HOST, DB_USER, DB_PASSWORD, DB_NAME; POOL_MODE, MAX_CLIENT_CONN.
set -eu
printf '"%s" "%s"\n' "$DB_USER" "$DB_PASSWORD" >/tmp/userlist.txt
cat >/tmp/pgbouncer.ini <<INI
[databases]
${DB_NAME:-*} = host=$DB_HOST port=${DB_PORT:-5432} user=$DB_USER
[pgbouncer]
listen_addr = *
listen_port = ${LISTEN_PORT:-5432}
unix_socket_dir =
auth_type = ${AUTH_TYPE:-scram-sha-256}
auth_file = /tmp/userlist.txt
pool_mode = ${POOL_MODE:-session}
max_client_conn = ${MAX_CLIENT_CONN:-100}
ignore_startup_parameters = extra_float_digits
INI
exec "$@"
