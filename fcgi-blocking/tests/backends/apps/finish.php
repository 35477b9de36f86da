<?php
// Ends its answer, and works on until there is a file.
echo 'finished';
fastcgi_finish_request();
for ($i = 0; $i < 1500 && !file_exists(__DIR__ . '/go'); $i++) {
    usleep(10000);
    clearstatcache();
}
touch(__DIR__ . '/done');
