<?php
// For PHP: the first segment of the path says what to do, as in all of these.
[$path] = explode('?', $_SERVER['REQUEST_URI']);
[, $word, $argument] = explode('/', $path . '/');
header('Content-Type: text/plain');
switch ($word) {
    case 'env':
        foreach ($_SERVER as $name => $value) {
            echo is_string($value) ? "$name=$value\n" : '';
        }
        break;
    case 'echo':
        header('Content-Type: ' . $_SERVER['CONTENT_TYPE']);
        readfile('php://input');
        break;
    case 'bytes':
        for ($left = (int) $argument; $left > 0; $left -= 65536) {
            echo str_repeat('x', min($left, 65536));
        }
        break;
    case 'cookies':
        header('Set-Cookie: a=1', false);
        header('Set-Cookie: b=2', false);
        break;
    case 'status':
        http_response_code((int) $argument);
        break;
    case 'stderr':
        error_log($argument);
        echo 'ok';
        break;
    case 'exit':
        echo 'ok';
        exit((int) $argument);
    default:
        echo 'ok';
}
