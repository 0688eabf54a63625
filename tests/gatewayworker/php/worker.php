<?php
// A business worker: greets who comes, counts what each says in its session, echoes, until one says "end".
require __DIR__ . '/wire.php';

[, $register, $key] = $argv;
[$gateway] = gateways($register, $key);
$socket = connect($gateway, WORKER_CONNECT, ['worker_key' => 'Php:0', 'secret_key' => $key]);
do {
    $event = event($socket);
    $session = $event['ext'] === '' ? [] : unserialize($event['ext']);
    if ($event['cmd'] === 205) {
        $page = $event['body']['server']['REQUEST_URI'] . ' ' . $event['body']['get']['room'] . ' ' . $event['body']['cookie']['sid'];
        fwrite($socket, frame(SEND_TO_ONE, $event['id'], '', "hello $page"));
    } elseif ($event['cmd'] === 3) {
        $session['said'] = ($session['said'] ?? 0) + 1;
        fwrite($socket, frame(SET_SESSION, $event['id'], serialize($session)));
        fwrite($socket, frame(SEND_TO_ONE, $event['id'], '', $session['said'] . ': ' . $event['body']));
    } elseif ($event['cmd'] === 4) {
        fwrite($socket, frame(SEND_TO_ALL, 0, '', "gone after {$session['said']}"));
    }
} while ($event['cmd'] !== 3 || $event['body'] !== 'end');
