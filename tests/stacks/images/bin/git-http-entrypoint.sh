#!/bin/sh
set -eu
rm -f /run/fcgiwrap.socket
setpriv --reuid www-data --regid www-data --init-groups true
spawn-fcgi -s /run/fcgiwrap.socket -M 766 -u www-data -g www-data -- /usr/sbin/fcgiwrap -f
exec nginx -g 'daemon off;'
