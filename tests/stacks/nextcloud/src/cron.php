<?php
require __DIR__ . '/common.php';
try {
    foreach (database()->query('select name from files where not indexed')->fetchAll() as $row)
        if (is_readable("/var/www/html/data/$row[0]"))
            database()->prepare('update files set indexed = true where name = ?')->execute([$row[0]]);
} catch (Exception $error) {
    fwrite(STDERR, $error->getMessage() . "\n");
}
