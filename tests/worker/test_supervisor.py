"""`pushline worker` and `pushline reload`, with real processes."""

import asyncio
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from pushline.supervise.channel import BEAT
from tests.worker.gateways import PATIENCE, Cluster, Gateway, Wire, cluster, until
from tests.worker.supervised import Supervised, is_alive, write_app

HANG = {"WORKER_HANG_TIME": "5"}


async def ask(wire: Wire, number: int = 1) -> list[str]:
    """What the process at the other end says of itself: version, index, pid, what it was sent."""
    before = len(wire.said(number))
    wire.say("hi", number)
    await until(lambda: len(wire.said(number)) > before)
    return wire.said(number)[-1].split()


async def done(command: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """Its exit code, what it has printed, and its errors."""
    output, errors = await asyncio.to_thread(command.communicate, None, PATIENCE)
    return command.returncode, output, errors


def newest(gateway: Gateway, index: int) -> Wire:
    """The newest link of the process with this index."""
    ends = f":{index}"
    return [w for w in gateway.workers if str(w.greeting["worker_key"]).endswith(ends)][-1]


async def all_here(gateway: Gateway, count: int) -> None:
    await until(lambda: len(gateway.workers) >= count)


# --- start --------------------------------------------------------------------------------------


async def test_it_runs_so_many_processes_and_says_so(tmp_path: Path) -> None:
    write_app(tmp_path, "v1")
    async with (
        cluster() as among,
        Supervised(tmp_path, among.register, "--processes", "3") as worker,
    ):
        (gateway,) = among.gateways
        await all_here(gateway, 3)
        told = [(await ask(newest(gateway, index)))[:3] for index in range(3)]
        assert [(version, index) for version, index, _ in told] == [
            ("v1", str(index)) for index in range(3)
        ]
        assert {int(pid) for *_, pid in told} == {*worker.children}
        names = {str(wire.greeting["worker_key"]).partition("-")[0] for wire in gateway.workers}
        assert names == {"mine.app"}
        for line in (
            "application mine:app",
            f"registers   {among.register}",
            "processes   3",
            "pushline reload mine:app",
        ):
            assert worker.has_said(line), worker.log


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import nothing_of_this_name", "mine cannot be imported: ModuleNotFoundError"),
        ("", "mine:app is no App"),
        (
            "from pushline import App\napp = App()\n@app.on_start\nasync def f():\n    1 / 0",
            "on_start failed: ZeroDivisionError",
        ),
        ("import os\nos._exit(7)", "ended with exit code 7 before it was ready"),
    ],
)
async def test_an_app_that_does_not_start_ends_it_with_the_reason(
    tmp_path: Path, source: str, reason: str
) -> None:
    (tmp_path / "mine.py").write_text(source)
    async with cluster() as among, Supervised(tmp_path, among.register) as worker:
        assert await worker.ended() == 2
        assert worker.has_said(f"pushline: {reason}"), worker.log
        assert not (tmp_path / "control").exists()


@pytest.mark.parametrize(
    ("settings", "reason"),
    [({"REGISTER_JOIN": ""}, "a worker asks a Register"), ({"APP_QUEUE": "x"}, "app.queue")],
)
async def test_what_is_missing_is_said(
    tmp_path: Path, settings: dict[str, str], reason: str
) -> None:
    write_app(tmp_path, "v1")
    async with Supervised(tmp_path, "127.0.0.1:1", **settings) as worker:
        assert await worker.ended() == 2
        assert worker.has_said(reason)


# --- death --------------------------------------------------------------------------------------


async def test_a_process_that_dies_is_followed_by_another(tmp_path: Path) -> None:
    write_app(tmp_path, "v1")
    async with cluster() as among, Supervised(tmp_path, among.register) as worker:
        (gateway,) = among.gateways
        pid = int((await ask(await gateway.worker()))[2])
        os.kill(pid, signal.SIGKILL)
        told = await ask(await gateway.worker(2))
        assert told[:2] == ["v1", "0"]
        assert int(told[2]) != pid
        assert worker.has_said(f"process 0 (pid {pid}) was ended by SIGKILL")
        assert gateway.workers[0].greeting == gateway.workers[1].greeting


async def test_one_that_hangs_is_ended_and_followed(tmp_path: Path) -> None:
    write_app(tmp_path, "v1")
    async with cluster() as among, Supervised(tmp_path, among.register, **HANG) as worker:
        (gateway,) = among.gateways
        pid = int((await ask(await gateway.worker()))[2])
        os.kill(pid, signal.SIGSTOP)
        told = await ask(await gateway.worker(2))
        assert told[:2] == ["v1", "0"]
        assert int(told[2]) != pid
        assert worker.has_said(f"process 0 (pid {pid}) has given no sign of life for 5 s")
        assert worker.has_said(f"process 0 (pid {pid}) was ended by SIGKILL")


BLOCKED = """
import time
async def block(client, data):
    time.sleep({})
    await said(client, data)
app.handlers["on_message"] = block
"""


@pytest.mark.parametrize(("settings", "blocked"), [(HANG, 3.0), ({"WORKER_HANG_TIME": "0"}, 7.0)])
async def test_one_that_is_blocked_for_less_lives_on(
    tmp_path: Path, settings: dict[str, str], blocked: float
) -> None:
    write_app(tmp_path, "v1", BLOCKED.format(blocked))
    async with cluster() as among, Supervised(tmp_path, among.register, **settings) as worker:
        (pid,) = worker.children
        (gateway,) = among.gateways
        assert (await ask(await gateway.worker()))[2] == str(pid)
        assert not worker.has_said("no sign of life")


async def test_one_that_dies_again_and_again_is_given_time(tmp_path: Path) -> None:
    write_app(tmp_path, "v1", "@app.after(0.01)\ndef die():\n    os._exit(7)\n")
    async with cluster() as among, Supervised(tmp_path, among.register) as worker:
        await until(lambda: worker.has_said("process 0: another is started in 1 s"))
        (tmp_path / "mine.py").write_text("raise ValueError('not yet')")
        await until(lambda: worker.has_said("process 0: mine cannot be imported"))
        await until(lambda: worker.has_said("process 0: another is started in 2 s"))
        write_app(tmp_path, "v2")
        assert (await done(worker.reload("mine:app")))[0] == 0  # which waits for nothing
        (gateway,) = among.gateways
        assert (await ask(newest(gateway, 0)))[0] == "v2"
        assert len(worker.children) == 1


async def test_its_processes_end_with_it_however_it_ends(tmp_path: Path) -> None:
    write_app(tmp_path, "v1", "import atexit\natexit.register(print, 'bye')\n")
    async with (
        cluster() as among,
        Supervised(tmp_path, among.register, "--processes", "2") as worker,
    ):
        children = worker.children
        await worker.kill()
        await until(lambda: not any(map(is_alive, children)))


async def test_its_processes_end_with_one_that_has_left_signs_of_life_unread(
    tmp_path: Path,
) -> None:
    write_app(tmp_path, "v1")
    async with cluster() as among, Supervised(tmp_path, among.register) as worker:
        children = worker.children
        worker.signal(signal.SIGSTOP)
        await asyncio.sleep(2 * BEAT)  # in which there is at least one
        await worker.kill()
        await until(lambda: not any(map(is_alive, children)))


async def test_a_blocked_process_ends_too(tmp_path: Path) -> None:
    blocked = "import time\n@app.on_close\nasync def stuck(client, reason):\n    time.sleep(600)\n"
    write_app(tmp_path, "v1", blocked)
    settings = {"WORKER_STOP_TIME": "0.2"}
    async with cluster() as among, Supervised(tmp_path, among.register, **settings) as worker:
        wire = await among.gateways[0].worker()
        await ask(wire)
        wire.tell(4)
        children = worker.children
        await worker.kill()
        await until(lambda: not any(map(is_alive, children)))


# --- stop ---------------------------------------------------------------------------------------

SLOW = """
import asyncio, pathlib
@app.on_close
async def left(client, reason):
    pathlib.Path("begun").touch()
    await asyncio.sleep(SECONDS)
    pathlib.Path("done").touch()
@app.on_stop
async def stopped():
    pathlib.Path("stopped").touch()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_lets_what_has_begun_finish(tmp_path: Path, number: signal.Signals) -> None:
    write_app(tmp_path, "v1", SLOW.replace("SECONDS", "0.5"))
    async with cluster() as among, Supervised(tmp_path, among.register) as worker:
        (await among.gateways[0].worker()).tell(4)
        await until((tmp_path / "begun").exists)
        children = worker.children
        worker.signal(number)
        assert await worker.ended() == 0
        assert (tmp_path / "done").exists()
        assert (tmp_path / "stopped").exists()
        assert not any(map(is_alive, children))
        assert worker.has_said("stopped")
        assert not (tmp_path / "control").exists()


async def test_what_does_not_finish_is_ended_in_time(tmp_path: Path) -> None:
    write_app(tmp_path, "v1", SLOW.replace("SECONDS", "600"))
    settings = {"WORKER_STOP_TIME": "0.5"}
    async with cluster() as among, Supervised(tmp_path, among.register, **settings) as worker:
        (await among.gateways[0].worker()).tell(4)
        await until((tmp_path / "begun").exists)
        worker.signal(signal.SIGTERM)
        assert await worker.ended() == 0
        assert not (tmp_path / "done").exists()
        assert (tmp_path / "stopped").exists()


async def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    write_app(tmp_path, "v1", SLOW.replace("SECONDS", "600"))
    settings = {"WORKER_STOP_TIME": "600"}
    async with cluster() as among, Supervised(tmp_path, among.register, **settings) as worker:
        (await among.gateways[0].worker()).tell(4)
        await until((tmp_path / "begun").exists)
        children = worker.children
        worker.signal(signal.SIGTERM)
        await until(lambda: worker.has_said("finish what they have begun"))
        worker.signal(signal.SIGTERM)
        assert await worker.ended() == 0
        assert not any(map(is_alive, children))


async def test_a_signal_ends_it_while_it_starts(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import pathlib, time\npathlib.Path('begun').touch()\ntime.sleep(600)"
    )
    async with Cluster() as among:
        worker = Supervised(tmp_path, among.register)
        worker.start()
        await until((tmp_path / "begun").exists)
        worker.signal(signal.SIGTERM)
        assert await worker.ended() == 0


# --- reload -------------------------------------------------------------------------------------


async def test_a_reload_replaces_one_process_after_the_other(tmp_path: Path) -> None:
    write_app(tmp_path, "v1")
    async with (
        cluster() as among,
        Supervised(tmp_path, among.register, "--processes", "2") as worker,
    ):
        (gateway,) = among.gateways
        await all_here(gateway, 2)
        old = worker.children
        write_app(tmp_path, "v2")
        code, output, errors = await done(worker.reload("mine:app"))
        assert (code, errors) == (0, "")
        assert output == "process 0 has been replaced\nprocess 1 has been replaced\n"
        told = [await ask(newest(gateway, index)) for index in range(2)]
        assert [part[:2] for part in told] == [["v2", "0"], ["v2", "1"]]
        assert not {*old} & {*worker.children}
        keys = [str(wire.greeting["worker_key"]) for wire in gateway.workers]
        assert sorted(keys[:2]) == sorted(keys[2:])


async def test_a_new_process_that_does_not_start_leaves_the_old_one(tmp_path: Path) -> None:
    write_app(tmp_path, "v1")
    async with (
        cluster() as among,
        Supervised(tmp_path, among.register, "--processes", "2") as worker,
    ):
        (gateway,) = among.gateways
        await all_here(gateway, 2)
        old = worker.children
        (tmp_path / "mine.py").write_text("raise ValueError('not yet')")
        code, output, _ = await done(worker.reload("mine:app"))
        assert code == 1
        assert output == (
            "process 0 stays as it was: mine cannot be imported: ValueError('not yet')\n"
        )
        assert worker.children == old
        assert (await ask(newest(gateway, 0)))[0] == "v1"


async def test_one_that_does_not_become_ready_is_given_up(tmp_path: Path) -> None:
    write_app(tmp_path, "v1")
    settings = {"WORKER_START_TIME": "2"}
    async with cluster() as among, Supervised(tmp_path, among.register, **settings) as worker:
        old = worker.children
        (tmp_path / "mine.py").write_text("import time\ntime.sleep(600)")
        code, output, _ = await done(worker.reload("mine:app"))
        assert (code, output) == (1, "process 0 stays as it was: not ready within 2 s\n")
        assert worker.children == old


PAUSED = """
import asyncio
@app.on_start
async def pause():
    if os.path.exists("pause"):
        os.remove("pause")
        while not os.path.exists("go"):
            await asyncio.sleep(0.01)
"""


async def test_one_that_dies_while_its_successor_starts_leaves_one_process(tmp_path: Path) -> None:
    write_app(tmp_path, "v1", PAUSED)
    async with cluster() as among, Supervised(tmp_path, among.register) as worker:
        (old,) = worker.children
        (tmp_path / "pause").touch()
        command = worker.reload("mine:app")
        await until(lambda: not (tmp_path / "pause").exists())
        os.kill(old, signal.SIGKILL)
        await until(lambda: sum("is ready" in line for line in worker.log) == 2)
        assert len(worker.children) == 2
        (tmp_path / "go").touch()
        assert (await done(command))[0] == 0
        await until(lambda: len(worker.children) == 1)
        (gateway,) = among.gateways
        assert (await ask(newest(gateway, 0)))[2] == str(worker.children[0])


async def test_a_hangup_is_a_reload_too(tmp_path: Path) -> None:
    write_app(tmp_path, "v1")
    async with cluster() as among, Supervised(tmp_path, among.register) as worker:
        (gateway,) = among.gateways
        await gateway.worker()
        write_app(tmp_path, "v2")
        worker.signal(signal.SIGHUP)
        assert (await ask(await gateway.worker(2)))[0] == "v2"
        await until(lambda: worker.has_said("process 0 has been replaced"))


async def test_a_reload_follows_links_to_another_release(tmp_path: Path) -> None:
    for version in ("v1", "v2"):
        (tmp_path / version).mkdir()
        write_app(tmp_path / version, version)
    current = tmp_path / "current"
    current.symlink_to("v1")
    settings = {"WORKER_CONTROL": str(tmp_path / "control")}
    async with cluster() as among:
        worker = Supervised(current, among.register, **settings)
        worker.environ["PWD"] = str(current)
        async with worker:
            (gateway,) = among.gateways
            assert (await ask(await gateway.worker()))[0] == "v1"
            current.unlink()
            current.symlink_to("v2")
            assert (await done(worker.reload()))[0] == 0
            assert (await ask(await gateway.worker(2)))[0] == "v2"


async def test_stopping_in_a_reload_leaves_nothing_behind(tmp_path: Path) -> None:
    write_app(tmp_path, "v1")
    async with cluster() as among, Supervised(tmp_path, among.register) as worker:
        (tmp_path / "mine.py").write_text(
            "import pathlib, time\npathlib.Path('begun').touch()\ntime.sleep(600)"
        )
        reload = worker.reload("mine:app")
        await until((tmp_path / "begun").exists)
        children = worker.children
        assert len(children) == 2
        worker.signal(signal.SIGTERM)
        assert await worker.ended() == 0
        assert not any(map(is_alive, children))
        code, _, errors = await done(reload)
        assert code == 3
        assert "ended before the reload was done" in errors


async def test_stopping_in_a_reload_lets_the_old_process_finish(tmp_path: Path) -> None:
    write_app(tmp_path, "v1", SLOW.replace("SECONDS", "1"))
    async with cluster() as among, Supervised(tmp_path, among.register) as worker:
        (gateway,) = among.gateways
        wire = await gateway.worker()
        wire.tell(4)
        await until((tmp_path / "begun").exists)
        reload = worker.reload("mine:app")
        await until(lambda: worker.has_said("process 0: stopping"))
        worker.signal(signal.SIGTERM)
        assert await worker.ended() == 0
        assert (tmp_path / "done").exists()
        assert (await done(reload))[0] == 3


# --- the control socket -------------------------------------------------------------------------


async def test_a_reload_without_a_worker_says_that_there_is_none(tmp_path: Path) -> None:
    worker = Supervised(tmp_path, "127.0.0.1:1")
    code, _, errors = await done(worker.reload("mine:app"))
    assert code == 3
    assert f"no worker runs at {tmp_path / 'control'}" in errors


async def test_a_second_worker_of_the_same_name_does_not_start(tmp_path: Path) -> None:
    write_app(tmp_path, "v1")
    async with (
        cluster() as among,
        Supervised(tmp_path, among.register),
        Supervised(tmp_path, among.register) as second,
    ):
        assert await second.ended() == 2
        assert second.has_said("another worker runs with the control socket")


async def test_a_socket_that_was_left_behind_is_replaced(tmp_path: Path) -> None:
    write_app(tmp_path, "v1")
    async with cluster() as among:
        async with Supervised(tmp_path, among.register) as worker:
            await worker.kill()
        assert (tmp_path / "control").is_socket()
        async with Supervised(tmp_path, among.register) as worker:
            assert worker.code is None
            assert (tmp_path / "control").stat().st_mode & 0o777 == 0o600


async def test_a_file_in_its_place_is_left_alone(tmp_path: Path) -> None:
    write_app(tmp_path, "v1")
    (tmp_path / "control").write_text("mine")
    async with Supervised(tmp_path, "127.0.0.1:1") as worker:
        assert await worker.ended() == 2
        assert worker.has_said("and no socket")
        assert (tmp_path / "control").read_text() == "mine"


async def test_the_one_worker_that_runs_needs_no_name(tmp_path: Path) -> None:
    write_app(tmp_path, "v1")
    settings = {"WORKER_CONTROL": ""}
    async with cluster() as among:
        worker = Supervised(tmp_path, among.register, **settings)
        worker.environ["XDG_RUNTIME_DIR"] = str(tmp_path)
        code, _, errors = await done(worker.reload())
        assert code == 3
        assert "no worker of yours runs here" in errors
        async with worker:
            assert (await done(worker.reload()))[0] == 0
            with socket.socket(socket.AF_UNIX) as other:
                other.bind(str(tmp_path / f"pushline-{os.getuid()}-other:app.sock"))
                assert (await done(worker.reload()))[0] == 0  # it does not run
                other.listen()
                code, _, errors = await done(worker.reload())
                assert code == 2
                assert "name one: mine:app, other:app" in errors
            assert (await done(worker.reload("mine:app")))[0] == 0
