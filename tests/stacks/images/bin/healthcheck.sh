#!/bin/sh
# mariadb's: --connect --innodb_initialized
exec mariadb --protocol=tcp --host=127.0.0.1 --user=healthcheck --skip-column-names --execute='select 1' >/dev/null 2>&1 ||
    exec mariadb --user=healthcheck --socket=/run/mysqld/mysqld.sock --execute='select 1'
