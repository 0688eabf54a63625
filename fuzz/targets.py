"""The codecs to fuzz: one line for each."""

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from pushline.codecs import cluster_wire, login, php_serialize, push_json, register_lines
from pushline.codecs.cluster_wire import Question
from pushline.codecs.deflate import Inflate, negotiate
from pushline.codecs.gateway_events import request_body
from pushline.codecs.gateway_frames import AnswerReader, Frame, FrameReader, LinkReader, encode
from pushline.codecs.gateway_requests import Request, Requests, fault_of
from pushline.codecs.greeting import Greeting
from pushline.codecs.handshake import accept, response_101
from pushline.codecs.http_head import HeadLimits, HeadReader
from pushline.codecs.lines import LineReader
from pushline.codecs.websocket import Decoder
from pushline.commands import Clients, Kick, SendToUid, Sessions, SetSession
from pushline.errors import BadFrameError, BadLineError, BadNameError, SerializedError
from pushline.messages import Close, Message

Feed = Callable[[bytes], Iterable[object]]


class Target(NamedTuple):
    """`start` gives a fresh codec's `feed`; `memory` is the most that it may take, in bytes."""

    name: str
    start: Callable[[], Feed]
    seeds: tuple[bytes, ...]
    memory: int


HEAD_LIMITS = HeadLimits(line=60, head=400, headers=10)


def handshake() -> Feed:
    """A head, and the answer to its upgrade."""
    reader = HeadReader(HEAD_LIMITS)
    answers: list[bytes] = []

    def feed(data: bytes) -> list[object]:
        request = None if answers else reader.feed(data)
        if request is None:
            return []
        accepted = accept(request, ["chat"], ["http://a", "https://b:1"])
        params = negotiate(request.header("sec-websocket-extensions"))
        answers.append(response_101(*accepted, params and params.answer))
        return [
            request.method,
            request.target,
            request.version,
            request.headers,
            request.path,
            request.query,
            *answers,
        ]

    return feed


def text(required: bool) -> Feed:
    """What a back end sends: a greeting, and lines that are pushes."""
    greetings = [Greeting("s3", required=required)]
    reader = LineReader(200)

    def feed(data: bytes) -> list[object]:
        answer = b""
        if greetings:
            greeted = greetings[0].feed(data)
            if greeted is None:
                return []
            answer, data = greeted
            greetings.clear()
        return [answer] * bool(answer) + [push(line) for line in reader.feed(data)]

    return feed


def push(line: bytes) -> object:
    try:
        command = push_json.decode(line)
    except BadLineError as error:
        return error.kind
    return getattr(command, "uids", None), command.utype, command.message.data


def logins(bare: bool) -> Feed:
    """Messages that are logins or not, each as a line."""
    reader = LineReader(400)

    def feed(data: bytes) -> list[object]:
        return [first(line.decode(errors="replace"), bare) for line in reader.feed(data)]

    return feed


def first(message: str, bare: bool) -> object:
    try:
        return login.decode(message, bare=bare)
    except BadNameError as error:
        return str(error)


def serialized() -> Feed:
    """PHP's serialized values, each as a line."""
    reader = LineReader(700)

    def feed(data: bytes) -> list[object]:
        return [value_of(line) for line in reader.feed(data)]

    return feed


def value_of(line: bytes) -> object:
    """What is read, which must be the same when it was written and is read again."""
    try:
        value = php_serialize.loads(line)
    except SerializedError as error:
        return str(error)
    again = php_serialize.loads(php_serialize.dumps(value))
    assert repr(again) == repr(value)
    return repr(value), repr(php_serialize.plain(value))


def register() -> Feed:
    """What a Register and its peers say."""
    reader = LineReader(200)

    def feed(data: bytes) -> list[object]:
        return [message_of(line) for line in reader.feed(data)]

    return feed


def message_of(line: bytes) -> object:
    """What is read, which must be the same when it was written and is read again."""
    try:
        message = register_lines.decode(line)
    except BadFrameError as error:
        return str(error)
    assert register_lines.decode(register_lines.encode(message)) == message
    return message


def requests() -> Feed:
    """What a gateway is asked."""
    reader = FrameReader(200)
    decode = Requests(0x7F00000108FC).by_command

    def feed(data: bytes) -> Iterator[object]:
        for frame in reader.feed(data):  # one by one: those before a fault count
            yield command_of(frame, decode)

    return feed


def command_of(frame: Frame, decode: Mapping[int, Callable[[Frame], Request]]) -> object:
    if frame.cmd not in decode:
        return frame.cmd
    try:
        command, encode = decode[frame.cmd](frame)
    except (BadFrameError, BadNameError, SerializedError) as error:
        return fault_of(error).kind
    return repr(command), encode is None


def cluster() -> Feed:
    """What nodes publish, each as a line."""
    reader = LineReader(300)

    def feed(data: bytes) -> list[object]:
        return [published(line) for line in reader.feed(data)]

    return feed


def published(payload: bytes) -> object:
    """What is read, which must be the same when it was written and is read again."""
    try:
        what = cluster_wire.decode(payload)
        if isinstance(what, Question):
            assert repr(cluster_wire.decode(cluster_wire.encode_question(what))) == repr(what)
        elif isinstance(what, cluster_wire.Answer):
            return [cluster_wire.decode_result(each, what.result) for each in ASKED]
    except BadFrameError as error:
        return str(error)
    return repr(what)


def events() -> Feed:
    """A head, as workers are told of it."""
    reader = HeadReader(HEAD_LIMITS)
    bodies: list[bytes] = []

    def feed(data: bytes) -> list[object]:
        request = None if bodies else reader.feed(data)
        if request is None:
            return []
        bodies.append(request_body(request, ("127.0.0.1", 1), 2))
        return [repr(php_serialize.loads(bodies[0]))]

    return feed


HEADS = (
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /a?b HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Origin: http://a\r\nSec-WebSocket-Protocol: chat\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10\r\n\r\n",
    b"X: xxxxxxxxxxxxxxxxxxxxxx\r\n",
    b"GET / HTTP/1.1\r\n",
    b"POST http://a/ HTTP/1.0\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
)
# Masked with zeros.
FRAMES = (
    b"\x81\x85\0\0\0\0hello",
    b"\x01\x82\0\0\0\0\xe2\x82\x00\x80\0\0\0\0\x80\x81\0\0\0\0\xac",
    b"\x82\xfe\x00\x7e\0\0\0\0" + b"x" * 126,
    b"\x82\xff" + (1 << 16).to_bytes(8) + bytes(4),
    b"\x02\x80\0\0\0\0",
    b"\x00\x8a\0\0\0\0xxxxxxxxxx",
    b"\x89\x80\0\0\0\0\x8a\x81\0\0\0\0x\x88\x85\0\0\0\0\x03\xe8bye",
)
BOMB = zlib.compress(bytes(1 << 20), wbits=-15)
DEFLATED = (
    b"\xc1\x87\0\0\0\0\xf2\x48\xcd\xc9\xc9\x07\0",
    b"\x41\x83\0\0\0\0\xf3\x48\xcd\x80\x85\0\0\0\0\xc9\xc9\x07\0\0",
    b"\xc2\x8b\0\0\0\0\0\x05\0\xfa\xffHello\0",
    b"\x42\xfe" + len(BOMB).to_bytes(2) + bytes(4) + BOMB,
)

PUSHES = (
    b"auth s3\r\n",
    b'{"uid":"uid1","utype":1}\n{"uid":["a",42,null],"x":"\xc3\xab"}\r\n',
    b'{"uid":{"0":"a","2":-7},"utype":"vip"}\n{"uid":""}\n{"uid":9223372036854775807}\n',
    b'{"uid":"\\ud83d\\ude00","x":[{"y":1e9},true]}\n!\nGET / HTTP/1.1\r\n',
)
LOGINS = (
    b'uid1\n"uid1"\n{"data":"heartbeat"}\n',
    b'{"uid":"42","utype":1,"checkToken":"c6dc8f189e84d57322ff1f6d30e24c01"}\n',
    b'{"uid":7,"utype":null,"data":{"x":[1.5,"\\u0085"]}}\n' + b"x" * 255 + b"\n",
)
SERIALIZED = (
    b'a:2:{s:1:"n";i:-7;s:4:"deep";a:3:{i:0;b:1;i:1;N;s:1:"7";d:1.0E+25;}}\n',
    b'i:9223372036854775807;\ns:3:"\xe2\x82\xac";\ns:1:"\xff";\na:0:{}\nd:-INF;\n',
    b'O:8:"stdClass":0:{}\na:1:{i:0;R:1;}\na:99999999:{i:0;s:99999999:"\n',
    b"a:1:{i:0;" * 70 + b"\n",
)
GATEWAY_FRAMES = (
    b"\0\0\0\x1e\x0c" + bytes(12) + b"\0\0\0\1\1\0\0\0\0\0\2u1",
    b"\0\0\0\x20\3\x7f\0\0\1\x08\xfc\x7f\0\0\1\xa3\x14\0\0\0\1\1\x1c\x68\0\0\0\2N;hi",
    b"\0\0\0\x1c\x01" + bytes(16) + b"\0\0\0\0\0\0\0",
    b"\0\0\0\x64\x06" + bytes(12) + b"\0\0\0\0\1\0\0\0\0\0\x40",
    b"\0\0\0\4i:0;",
    b'\0\0\0\x0ea:1:{i:0;i:1;}\0\0\0\2N;\0\0\0\5s:0:"',
)
IDS, FIELDS = b'{"connections":{"1":1},"exclude":[0]}', b'{"fields":["uid"],"where":{"uid":[7]}}'
GATEWAY_REQUESTS = (
    encode(6, ext=IDS, body=b"hi"),
    encode(14, ext=b'["u1",42]', body=b"\xff") + encode(12, connection_id=1, ext=b"0"),
    encode(22, ext=b'{"group":["g"],"exclude":{"1":1}}', flag=0, body=b'a:1:{i:0;s:1:"a";}'),
    encode(25, ext=FIELDS) + encode(24) + encode(203, connection_id=2**32 - 1),
    encode(7, connection_id=1, flag=0, ext=b'{"code":3001,"reason":"x"}', body=b"N;"),
    encode(9, connection_id=1, flag=9, ext=b'a:1:{s:1:"n";i:1;}') + encode(99),
)
ASKED = (Clients(None), Sessions("g"))
CLUSTER = tuple(
    payload + b"\n"
    for payload in (
        *(b"thello", b"b\xff\0", b"e\x81\2hi"),
        *(
            cluster_wire.encode_question(Question(7, "7f00000108fc", command))
            for command in (
                SendToUid(("u1", "42"), "0", Message(b"hi"), frozenset({"7f00000108fc0000002a"})),
                Kick(("7f00000108fc0000002a",), None, Close(3503, "kicked")),
                SetSession("7f00000108fc0000002a", {"a": [1, {"b": None}], "c": 1.5}),
                *ASKED,
            )
        ),
        cluster_wire.encode_answer(1, "7f00000108fc", ["7f00000108fc0000002a"]),
        cluster_wire.encode_answer(2, "7f00000108fc", {"7f00000108fc0000002a": {"a": 1}}),
        cluster_wire.encode_failure(3, "7f00000108fc", "oh"),
    )
)
COOKIES = (
    b"GET /?a=%E9&b.c=1&d[=+ HTTP/1.1\r\nHost: a\r\nCookie: a=1; b=\xe9;7=x\r\nX-Y: z\r\n\r\n",
)
REGISTER_LINES = (
    b'{"event":"gateway_connect", "address":"127.0.0.1:2300", "secret_key":"s3cret"}\n',
    b'{"event":"worker_connect","secret_key":"\\ud83d\\ude00"}\r\n{"event":"ping"}\n',
    b'{"event":"broadcast_addresses","addresses":{"0":"a:1","2":"b:2","3":"a:1"}}\n',
    b'{"event":"broadcast_addresses","addresses":["a:1","b:2","\xc3\xab"]}\n',
)

TARGETS = (
    Target("websocket", lambda: Decoder(200).feed, FRAMES, 8_000),
    Target("deflate", lambda: Decoder(2_000, Inflate(2_000)).feed, FRAMES + DEFLATED, 100_000),
    Target("handshake", handshake, HEADS, 16_000),
    Target("lines", lambda: LineReader(50).feed, (b'{"uid":"uid1"}\r\n\n', b"x" * 50), 8_000),
    Target("text", lambda: text(required=True), PUSHES, 16_000),
    Target("text-trusted", lambda: text(required=False), PUSHES, 16_000),
    Target("login-open", lambda: logins(bare=True), LOGINS, 16_000),
    Target("login-token", lambda: logins(bare=False), LOGINS, 16_000),
    Target("php-serialize", serialized, SERIALIZED, 48_000),
    Target("gateway-frames", lambda: FrameReader(200).feed, GATEWAY_FRAMES, 8_000),
    Target("gateway-answers", lambda: AnswerReader(200).feed, GATEWAY_FRAMES, 8_000),
    Target("gateway-link", lambda: LinkReader(200).feed, GATEWAY_FRAMES, 8_000),
    Target("gateway-requests", requests, GATEWAY_REQUESTS, 48_000),
    Target("gateway-events", events, HEADS + COOKIES, 64_000),  # 44,000 are urllib's, once
    Target("cluster-wire", cluster, CLUSTER, 48_000),
    Target("register-lines", register, REGISTER_LINES, 16_000),
)
