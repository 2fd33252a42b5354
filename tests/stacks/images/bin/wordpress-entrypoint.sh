#!/bin/bash
# What stacks rely on of the official image: WordPress is copied to an empty /var/www/html, WORDPRESS_DB_* configure it.
set -euo pipefail
if [ ! -e index.php ]; then
    cp -rL /usr/share/wordpress/. .
    rm -f wp-config.php
    chown -R www-data:www-data .
fi
if [ ! -s wp-config.php ]; then
    if [ -n "${WORDPRESS_DB_PASSWORD_FILE:-}" ]; then
        WORDPRESS_DB_PASSWORD=$(cat "$WORDPRESS_DB_PASSWORD_FILE")
    fi
    cat >wp-config.php <<PHP
<?php
define('DB_NAME', '${WORDPRESS_DB_NAME:-wordpress}');
define('DB_USER', '${WORDPRESS_DB_USER:-root}');
define('DB_PASSWORD', '${WORDPRESS_DB_PASSWORD:-}');
define('DB_HOST', '${WORDPRESS_DB_HOST:-mysql}');
define('DB_CHARSET', 'utf8mb4');
define('AUTOMATIC_UPDATER_DISABLED', true);
define('WP_HTTP_BLOCK_EXTERNAL', true);
define('DISABLE_WP_CRON', true);
${WORDPRESS_CONFIG_EXTRA:-}
\$table_prefix = '${WORDPRESS_TABLE_PREFIX:-wp_}';
if (!defined('ABSPATH')) define('ABSPATH', __DIR__ . '/');
require_once ABSPATH . 'wp-settings.php';
PHP
fi
exec "$@"
