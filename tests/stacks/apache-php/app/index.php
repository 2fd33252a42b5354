<?php
$database = new PDO('sqlite:/var/guestbook/book.sqlite');
$database->exec('create table if not exists entry (text)');
if (isset($_POST['text'])) {
    $database->prepare('insert into entry values (?)')->execute([$_POST['text']]);
}
echo "<h1>Guestbook</h1>\n";
foreach ($database->query('select text from entry') as $row) {
    echo '<p>' . htmlspecialchars($row['text']) . "</p>\n";
}
