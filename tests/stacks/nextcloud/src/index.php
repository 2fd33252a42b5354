<?php
require 'common.php';
$name = basename(parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH));
if ($name == 'status') {
    database();
    die(json_encode(['installed' => true, 'requests' => cache()->incr('requests')]));
}
if ($_SERVER['REQUEST_METHOD'] == 'PUT') {
    $size = file_put_contents("/var/www/html/data/$name", file_get_contents('php://input'));
    database()->prepare('insert into files (name, size) values (?, ?) on conflict (name) do update set size = excluded.size, indexed = false')->execute([$name, $size]);
    die("kept $size\n");
}
$row = database()->prepare('select size, indexed from files where name = ?');
$row->execute([$name]);
$row = $row->fetch(PDO::FETCH_ASSOC) ?: http_response_code(404);
echo is_array($row) ? file_get_contents("/var/www/html/data/$name") . ' indexed=' . json_encode($row['indexed']) . "\n" : "not found\n";
