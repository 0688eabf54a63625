<?php
// A web back end: drives the only gateway of a Register, and prints what it was told as JSON.
require __DIR__ . '/wire.php';

[, $register, $key] = $argv;
[$gateway] = gateways($register, $key);
$socket = connect($gateway, CLIENT_CONNECT, ['secret_key' => $key]);
[$one, $two] = array_keys(ask($socket, frame(SELECT, 0, json_encode(['fields' => ['uid'], 'where' => []]))));
fwrite($socket, frame(BIND_UID, $one, 'Zoë') . frame(BIND_UID, $two, '42'));
fwrite($socket, frame(JOIN_GROUP, $one, '7') . frame(JOIN_GROUP, $two, '7') . frame(JOIN_GROUP, $two, 'room'));
fwrite($socket, frame(SET_SESSION, $one, serialize(['name' => 'Zoë', 'n' => [1, 2, 0.1], 'deep' => ['x' => true]])));
fwrite($socket, frame(UPDATE_SESSION, $one, serialize(['n' => [3], 'deep' => ['y' => null], 'bytes' => "\xff\0"])));
fwrite($socket, frame(SEND_TO_UID, 0, json_encode(['Zoë', 42]), 'to both'));
fwrite($socket, frame(SEND_TO_GROUP, 0, json_encode(['group' => [7, 'room'], 'exclude' => [$one => $one]]), 'to the second'));
fwrite($socket, frame(SEND_TO_ALL, 0, '', ['list' => [1, 'zwei'], 'map' => ['ü' => null]]));
$session = ask($socket, frame(GET_SESSION, $one));
$session['bytes'] = bin2hex($session['bytes']);
$known = ask($socket, frame(SELECT, 0, json_encode(['fields' => ['uid', 'groups'], 'where' => []])));
echo json_encode([
    'session' => $session,
    'known' => [$known[$one], $known[$two]],
    'online' => [ask($socket, frame(IS_ONLINE, $one)), ask($socket, frame(IS_ONLINE, 4294967295))],
    'ids' => ask($socket, frame(CLIENTS_OF_UID, 0, 'Zoë')) === [$one],
    'counts' => [ask($socket, frame(COUNT_OF_GROUP, 0, '7')), ask($socket, frame(COUNT_OF_GROUP))],
    'sessions' => array_map('unserialize', array_diff(ask($socket, frame(ALL_SESSIONS)), [''])) != [],
], JSON_UNESCAPED_UNICODE);
fwrite($socket, frame(KICK, $two, '', 'bye') . frame(KICK, $one, '', null));
