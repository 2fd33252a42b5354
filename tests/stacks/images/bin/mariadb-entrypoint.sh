#!/bin/bash
# What stacks rely on of the official image: MARIADB_* or MYSQL_* with _FILE, /docker-entrypoint-initdb.d/*.sql on the first start.
set -euo pipefail
if [ "${1:0:1}" = - ]; then
    set -- mariadbd "$@"
fi
if [ "$1" != mariadbd ]; then
    exec "$@"
fi
value() { # NAME: of MARIADB_NAME or MYSQL_NAME, or what is in the file of NAME_FILE
    local each file
    for each in "MARIADB_$1" "MYSQL_$1"; do
        file=${each}_FILE
        if [ -n "${!file:-}" ]; then cat "${!file}"; return; fi
        if [ -n "${!each:-}" ]; then printf '%s' "${!each}"; return; fi
    done
}
if [ "$(id -u)" = 0 ]; then
    mkdir -p /run/mysqld
    chown mysql:mysql /run/mysqld /var/lib/mysql
fi
if [ ! -d /var/lib/mysql/mysql ]; then
    root=$(value ROOT_PASSWORD) database=$(value DATABASE) user=$(value USER) password=$(value PASSWORD)
    if [ -z "$root" ]; then
        echo "Error: set MARIADB_ROOT_PASSWORD or MARIADB_ROOT_PASSWORD_FILE" >&2
        exit 1
    fi
    mariadb-install-db --user=mysql --datadir=/var/lib/mysql --skip-test-db --auth-root-authentication-method=normal >/dev/null
    {
        echo "FLUSH PRIVILEGES;"
        echo "ALTER USER root@localhost IDENTIFIED BY '$root';"
        echo "CREATE USER root@'%' IDENTIFIED BY '$root';"
        echo "GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;"
        echo "CREATE USER healthcheck@localhost;"
        if [ -n "$database" ]; then
            echo "CREATE DATABASE \`$database\`;"
            echo "USE \`$database\`;"
        fi
        if [ -n "$user" ]; then
            echo "CREATE USER '$user'@'%' IDENTIFIED BY '$password';"
            [ -z "$database" ] || echo "GRANT ALL ON \`$database\`.* TO '$user'@'%';"
        fi
        cat /docker-entrypoint-initdb.d/*.sql 2>/dev/null || true
    } | mariadbd --user=mysql --datadir=/var/lib/mysql --bootstrap
fi
exec "$@" --user=mysql --datadir=/var/lib/mysql --bind-address=0.0.0.0
