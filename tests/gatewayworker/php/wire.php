<?php
// GatewayWorker's wire as a PHP program speaks it: with pack, json_encode, serialize and unserialize.

const HEAD = 'Ncmd_len/Ccmd/Nlocal_ip/nlocal_port/Nclient_ip/nclient_port/Nid/Cflag/ngateway_port/Next_len';
const SEND_TO_ONE = 5, SEND_TO_ALL = 6, KICK = 7, UPDATE_SESSION = 9, ALL_SESSIONS = 10, IS_ONLINE = 11;
const BIND_UID = 12, SEND_TO_UID = 14, CLIENTS_OF_UID = 15, JOIN_GROUP = 20, SEND_TO_GROUP = 22;
const COUNT_OF_GROUP = 24, SELECT = 25, WORKER_CONNECT = 200, CLIENT_CONNECT = 202, GET_SESSION = 203;
const SET_SESSION = 204;

function gateways(string $register, string $key): array {
    $socket = stream_socket_client("tcp://$register");
    fwrite($socket, json_encode(['event' => 'worker_connect', 'secret_key' => $key]) . "\n");
    return json_decode(fgets($socket), true)['addresses'];
}

function frame(int $cmd, int $id = 0, string $ext = '', $body = ''): string {
    $flag = is_scalar($body) ? 1 : 0;
    $body = $flag ? $body : serialize($body);
    $head = pack('NCNnNnNCnN', 28 + strlen($ext) + strlen($body), $cmd, 0, 0, 0, 0, $id, $flag, 0, strlen($ext));
    return $head . $ext . $body;
}

function take($socket, int $size): string {
    for ($data = ''; strlen($data) < $size; $data .= $piece) {
        $piece = fread($socket, $size - strlen($data));
        if ($piece === '' || $piece === false) {
            exit("the gateway has ended the connection\n");
        }
    }
    return $data;
}

function ask($socket, string $frame) {
    fwrite($socket, $frame);
    return unserialize(take($socket, unpack('N', take($socket, 4))[1]), ['allowed_classes' => false]);
}

function event($socket): array {
    $head = unpack(HEAD, take($socket, 28));
    $rest = $head['cmd_len'] > 28 ? take($socket, $head['cmd_len'] - 28) : '';
    $head['ext'] = substr($rest, 0, $head['ext_len']);
    $body = substr($rest, $head['ext_len']);
    $head['body'] = $head['flag'] & 1 ? $body : unserialize($body);
    return $head;
}

function connect(string $gateway, int $cmd, array $greeting) {
    $socket = stream_socket_client("tcp://$gateway");
    fwrite($socket, frame($cmd, 0, '', json_encode($greeting)));
    return $socket;
}
