"""The back end that exists in the field: a few lines of PHP."""

import subprocess
from collections.abc import Iterator

import pytest

from tests.protocol.tabs import messages, tab
from tests.server import Server

PUSH = r"""
$server = stream_socket_client('tcp://' . $argv[1]);
fwrite($server, json_encode(['uid' => 'uid1', 'percent' => '88%']) . "\n");
echo fread($server, 8192);
"""
LISTS = r"""
$server = stream_socket_client('tcp://' . $argv[1]);
$uids = array_filter(['uid1', '', 0, 42, null, 'nobody']);
foreach ([$uids, 42, [42, 'uid1'], array_filter([0, '', 7]), array_filter([''])] as $uid) {
    fwrite($server, json_encode(['uid' => $uid, 'name' => 'Zoë']) . "\n");
    echo fgets($server);
}
"""
PUSHED = [
    b'{"uid":{"0":"uid1","3":42,"5":"nobody"},"name":"Zo\\u00eb"}',
    b'{"uid":42,"name":"Zo\\u00eb"}',
    b'{"uid":[42,"uid1"],"name":"Zo\\u00eb"}',
    b'{"uid":[],"name":"Zo\\u00eb"}',
]
"""As PHP writes them."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


def php(script: str, *arguments: str) -> str:
    """What a script prints; a warning or an error of PHP's fails."""
    command = ["php", "-d", "display_errors=stderr", "-r", script, "--", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert ran.stderr == ""
    return ran.stdout


def test_the_pages_lines_push_to_a_user(server: Server) -> None:
    with tab(server, "uid1") as page:
        assert php(PUSH, server.text) == "ok\n"
        assert messages(page) == [b'{"uid":"uid1","percent":"88%"}']
    assert php(PUSH, server.text) == "fail\n"


def test_phps_lists_with_gaps_and_its_numbers_name_users(server: Server) -> None:
    with tab(server, "uid1") as uid1, tab(server, "42") as number, tab(server, "other") as other:
        assert php(LISTS, server.text) == "ok\nok\nok\nfail\nok\n"
        with_gaps, of_number, of_both, to_everyone = PUSHED
        assert messages(uid1) == [with_gaps, of_both, to_everyone]
        assert messages(number) == [with_gaps, of_number, of_both, to_everyone]
        assert messages(other) == [to_everyone]
