<?php
function database() {
    $made = new PDO('pgsql:host=' . getenv('POSTGRES_HOST') . ';dbname=' . getenv('POSTGRES_DB'), getenv('POSTGRES_USER'), getenv('POSTGRES_PASSWORD'));
    $made->exec('create table if not exists files (name text primary key, size int, indexed bool default false)');
    return $made;
}
function cache() {
    $made = new Redis();
    $made->connect(getenv('REDIS_HOST'), 6379);
    $made->auth(getenv('REDIS_HOST_PASSWORD'));
    return $made;
}
