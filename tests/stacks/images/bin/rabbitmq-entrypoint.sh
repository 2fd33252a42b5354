#!/bin/bash
# RABBITMQ_DEFAULT_USER and RABBITMQ_DEFAULT_PASS, and the change of the user.
set -euo pipefail
if [ "$1" = rabbitmq-server ] && [ "$(id -u)" = 0 ]; then
    {
        [ -z "${RABBITMQ_DEFAULT_USER:-}" ] || echo "default_user = $RABBITMQ_DEFAULT_USER"
        [ -z "${RABBITMQ_DEFAULT_PASS:-}" ] || echo "default_pass = $RABBITMQ_DEFAULT_PASS"
        echo "loopback_users = none"
    } >/etc/rabbitmq/conf.d-defaults.conf
    mkdir -p /etc/rabbitmq/conf.d /run/rabbitmq
    mv /etc/rabbitmq/conf.d-defaults.conf /etc/rabbitmq/conf.d/10-defaults.conf
    chown -R rabbitmq:rabbitmq /var/lib/rabbitmq /run/rabbitmq
    exec setpriv --reuid rabbitmq --regid rabbitmq --init-groups /usr/lib/rabbitmq/bin/rabbitmq-server
fi
exec "$@"
