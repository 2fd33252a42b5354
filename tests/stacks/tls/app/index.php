<?php
if ($_SERVER['REQUEST_METHOD'] == 'POST')
    file_put_contents('/notes/notes.txt', $_POST['note'] . "\n", FILE_APPEND);
echo 'by ' . ($_SERVER['HTTP_X_FORWARDED_PROTO'] ?? 'http') . ': ' . (is_file('/notes/notes.txt') ? file_get_contents('/notes/notes.txt') : '') . "\n";
