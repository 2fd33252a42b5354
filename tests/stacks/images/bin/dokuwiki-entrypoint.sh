#!/bin/bash
# All that a wiki keeps is in /storage, whoever made that: data, and the configuration beside it.
set -euo pipefail
if [ ! -e doku.php ]; then
    cp -rL /usr/share/dokuwiki/. . 2>/dev/null || true
    rm -rf conf data inc/preload.php install.php
    ln -s /storage/conf conf
    ln -s /storage/data data
    echo "<?php define('DOKU_CONF', '/storage/conf/');" >inc/preload.php
fi
if [ ! -e /storage/conf ]; then
    mkdir -p /storage/conf /storage/data
    cp -rL /etc/dokuwiki/. /storage/conf/ 2>/dev/null || true
    rm -f /storage/conf/apache.conf
    cp -rL /var/lib/dokuwiki/data/. /storage/data/ 2>/dev/null || true
    mkdir -p /storage/data/{pages,media,meta,attic,cache,index,locks,tmp,media_meta,media_attic,log}
    printf "<?php\n\$conf['title'] = '%s';\n\$conf['useacl'] = 0;\n\$conf['savedir'] = '/storage/data';\n\$conf['remote'] = 1;\n\$conf['remoteuser'] = '';\n" "${DOKUWIKI_TITLE:-Wiki}" >/storage/conf/local.php
    chown -R www-data:www-data /storage
fi
exec "$@"
