#!/bin/sh
set -eu
mkdir -p /run/git
rm -f /run/git/socket
chown www-data /run/git
setpriv --reuid www-data --regid www-data --init-groups fcgiwrap -f -s unix:/run/git/socket &
exec nginx -g 'daemon off;'
