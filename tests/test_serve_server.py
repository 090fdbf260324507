"""The life of the local server. A small program with vLLM's interface stands in for vLLM."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from audio_reasoning.core.errors import UserError
from audio_reasoning.engines.cache import ResponseCache
from audio_reasoning.engines.endpoint import is_healthy
from audio_reasoning.engines.messages import ChatRequest
from audio_reasoning.engines.params import Runtime, Serve
from audio_reasoning.engines.server import server, start
from audio_reasoning.engines.server.launch import Launch, describe_launch, hash_folder, server_environment
from audio_reasoning.engines.server.processes import Process, describe
from audio_reasoning.engines.server.state import State, read_state, server_home, write_state
from audio_reasoning.engines.server.supervisor import reason_to_stop
from stages.layout import cache_dir
from tests.asking import ask

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
STAND_IN = (sys.executable, str(ROOT / "tests" / "fake_openai.py"))
SERVE = Serve(dtype="float32", max_model_len=2048, tensor_parallel_size=1, adapters="merge")
RUNTIME = Runtime(
    concurrency=4, request_timeout_s=30, retries=5, server_start_s=120, server_idle_s=60, checkpoint_steps=1
)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A model folder, in a project whose server ends with the test."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name in ("PORT", "KEEP_SERVER"):
        monkeypatch.delenv(f"AUDIO_REASONING_{name}", raising=False)
    folder = tmp_path / "models" / "base"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "qwen3_omni_moe"}')
    yield folder
    server.stop(cache_dir())


def ensure(model: Path, *flags: str, runtime: Runtime = RUNTIME):  # type: ignore[no-untyped-def]
    return server.ensure(model, SERVE, runtime, model.parent, cache_dir(), program=(*STAND_IN, *flags))


def home() -> Path:
    return server_home(cache_dir())


def state() -> State:
    found = read_state(home())
    assert found is not None
    return found


def session(leader: Process) -> list[int]:
    def belongs(pid: int) -> bool:
        try:
            return os.getsid(pid) == leader.pid and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        except (OSError, psutil.Error):
            return False

    return [pid for pid in psutil.pids() if belongs(pid)]


def eventually(holds: Callable[[], bool], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)
    return holds()


def user(model: Path, *flags: str, name: str = "user.py") -> "subprocess.Popen[str]":
    """Another process that uses the server: it prints the supervisor's id, and stays until its input is closed."""
    script = model.parent / name
    script.write_text(
        textwrap.dedent(f"""
            import sys
            from pathlib import Path
            sys.path.insert(0, {str(ROOT)!r})
            import tests.test_serve_server as t
            with t.ensure(Path({str(model)!r}), *{flags!r}):
                print(t.state().process.pid, flush=True)
                sys.stdin.read()
        """)
    )
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen([sys.executable, str(script)], **pipes, text=True)


# ── Start, reuse, replace ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_server_is_started_once_and_used_again(model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with ensure(model) as first:
        assert is_healthy(first.base_url, first.api_key, "base")
        assert not is_healthy(first.base_url, "another key", "base")
    with ensure(model) as second:
        assert second == first
    messages = capfd.readouterr().err
    assert messages.count("Starting vLLM") == 1 and str(home() / "server.log") in messages


def test_another_model_replaces_the_server(model: Path) -> None:
    with ensure(model) as first:
        old = state().process
    (model / "config.json").write_text('{"model_type": "qwen3_omni_moe", "changed": true}')
    with ensure(model) as second:
        assert second.fingerprint != first.fingerprint and second.identity != first.identity
        assert not session(old), "nothing of the old server is left"


def test_a_server_in_use_is_replaced_only_afterwards(model: Path) -> None:
    first = user(model)
    assert first.stdout is not None
    old = int(first.stdout.readline())
    second = user(model, "--latency", "0.001", name="second.py")
    assert second.stderr is not None
    assert "waiting: another process uses the server" in second.stderr.readline()
    assert state().process.pid == old and state().process.alive, "the waiting one leaves it alone"
    assert first.communicate(timeout=60)[0] == "" and first.returncode == 0  # its input is closed, so it ends
    assert int(second.communicate(timeout=120)[0]) == state().process.pid != old


def test_two_processes_at_once_start_one_server(model: Path) -> None:
    users = [user(model, name=f"user{i}.py") for i in range(3)]
    supervisors = {process.communicate(timeout=120)[0] for process in users}
    assert len(supervisors) == 1 and supervisors != {""}


def test_a_server_without_an_answer_is_replaced(model: Path) -> None:
    with ensure(model):
        old = state().process
        [stopped] = [pid for pid in session(old) if pid != old.pid]
        os.kill(stopped, signal.SIGKILL)
        assert eventually(lambda: not old.alive)
    with ensure(model) as new:
        assert state().process != old and is_healthy(new.base_url, new.api_key, new.model_name)


# ── Failing to start ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_early_death_shows_the_end_of_the_log(model: Path) -> None:
    reason = "line 0\n" + "\n".join(f"line {i}" for i in range(1, 30)) + "\nValueError: no such dtype"
    with pytest.raises(
        UserError, match=r"(?s)ended while it was starting.*server\.log.*ValueError: no such dtype"
    ) as e:
        ensure(model, "--die", reason).__enter__()
    assert "line 29" in str(e.value) and "line 5\n" not in str(e.value)


def test_a_start_that_takes_too_long_is_ended(model: Path) -> None:
    runtime = RUNTIME.model_copy(update={"server_start_s": 1.0})
    with pytest.raises(UserError, match=r"runtime\.server_start_s"):
        ensure(model, "--mute", runtime=runtime).__enter__()
    assert not session(state().process)


@pytest.mark.parametrize(("flag", "finding"), [("--deaf", "added 0 prompt tokens"), ("--unseeded", "same seed")])
def test_a_server_that_fails_its_canaries_is_stopped(model: Path, flag: str, finding: str) -> None:
    with pytest.raises(UserError, match=finding):
        ensure(model, flag).__enter__()
    assert not session(state().process)


def test_a_taken_port_is_explained(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setenv("AUDIO_REASONING_PORT", str(port))
        with pytest.raises(UserError, match=f"AUDIO_REASONING_PORT={port}: .*in use.*choose another port"):
            ensure(model).__enter__()
    with ensure(model) as found:
        assert found.base_url == f"http://127.0.0.1:{port}/v1"


@pytest.mark.parametrize("value", ["http", "-1", "65536", "80.5"])
def test_a_port_that_is_none_is_explained(model: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("AUDIO_REASONING_PORT", value)
    with pytest.raises(UserError, match="not a port"):
        ensure(model).__enter__()


def test_a_folder_without_a_model_is_explained(model: Path) -> None:
    (model / "config.json").unlink()
    with pytest.raises(UserError, match=r"no model there.*dvc repro base_model"):
        ensure(model).__enter__()


def test_a_damaged_state_file_is_explained(model: Path) -> None:
    (home() / "state.json").write_text('{"pid": 1}')
    with pytest.raises(UserError, match=r"state\.json: not a server's state"):
        ensure(model).__enter__()
    (home() / "state.json").unlink()


# ── The end ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_stop_and_status_tell_what_they_found(model: Path) -> None:
    def command(word: str) -> str:
        run = subprocess.run(
            [sys.executable, "-m", "cli", "server", word],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        )
        return run.stdout

    assert command("status") == command("stop") == "no server runs\n"
    with ensure(model) as found:
        assert f"base at {found.base_url}: answers, in use" in command("status")
    assert "answers, not in use" in (told := command("status")) and found.api_key not in told
    old = state().process
    assert command("stop") == "the server is stopped\n"
    assert not session(old) and command("status") == "no server runs\n"


def test_an_unused_server_stops_and_a_used_one_does_not(model: Path) -> None:
    runtime = RUNTIME.model_copy(update={"server_idle_s": 1.0})
    with ensure(model, runtime=runtime) as found:
        time.sleep(2.5)
        assert is_healthy(found.base_url, found.api_key, found.model_name)
    assert eventually(lambda: not session(state().process))
    assert "not used for 1 s" in (home() / "server.log").read_text()


def test_a_server_ends_with_the_dvc_command_that_used_it(model: Path) -> None:
    dvc = model.parent / "bin" / "dvc"
    dvc.parent.mkdir()
    dvc.write_text(
        textwrap.dedent(f"""
            import subprocess, sys, time
            for _ in range(2):
                subprocess.run([sys.executable, {str(model.parent / "user.py")!r}], input="", text=True, check=True)
                time.sleep(1)
        """)
    )
    user(model).communicate()  # writes the script, and starts a server that no dvc command owns
    process = subprocess.Popen([sys.executable, str(dvc), "repro"], stdout=subprocess.PIPE, text=True)
    told = process.communicate(timeout=120)[0].split()
    assert process.returncode == 0
    supervisor = state().process
    assert told == [str(supervisor.pid)] * 2, "one server for all of its stages"
    assert [owner.pid for owner in state().owners] == [process.pid]
    assert eventually(lambda: not session(supervisor))
    assert "the dvc command that used it has ended" in (home() / "server.log").read_text()


def test_why_a_server_stops() -> None:
    me, ended = describe(os.getpid()), Process(os.getpid(), 0.0)
    used = State(me, (ended, me), "fingerprint", "base", 1, "key", idle_s=60, keep=False, ready=True)
    assert reason_to_stop(used, 59) == ""
    assert reason_to_stop(used, 61) == "not used for 60 s"
    orphan = replace(used, owners=(ended, ended))
    assert reason_to_stop(orphan, 4) == ""
    assert reason_to_stop(orphan, 6) == "the dvc command that used it has ended"
    assert reason_to_stop(replace(orphan, keep=True), 59) == ""
    assert reason_to_stop(replace(used, owners=()), 59) == "", "started by hand, so no command's end is its end"
    assert reason_to_stop(None, 4) == ""
    assert "state file is gone" in reason_to_stop(None, 6)
    assert "state file is gone" in reason_to_stop(replace(used, process=Process(1, 0.0)), 6)


@pytest.mark.parametrize(("value", "keep"), [("1", True), ("0", False), ("", False)])
def test_a_server_is_kept_on_request(model: Path, monkeypatch: pytest.MonkeyPatch, value: str, keep: bool) -> None:
    monkeypatch.setenv("AUDIO_REASONING_KEEP_SERVER", value)
    with ensure(model):
        assert state().keep == keep


# ── Violence ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_nothing_outlives_a_killed_supervisor_and_the_next_start_goes_well(model: Path) -> None:
    with ensure(model):
        old = state().process
        assert len(session(old)) == 2
    os.kill(old.pid, signal.SIGKILL)
    assert eventually(lambda: not session(old))
    with ensure(model) as new:
        assert state().process != old and is_healthy(new.base_url, new.api_key, new.model_name)


def test_a_half_started_server_is_replaced(model: Path) -> None:
    starter = user(model, "--mute")
    assert eventually(lambda: (home() / "state.json").exists())
    starter.kill()
    starter.communicate()
    half = state().process
    assert half.alive
    with ensure(model):
        assert state().process != half
    assert not session(half)


def test_a_server_whose_start_was_not_seen_through_is_replaced(model: Path) -> None:
    with ensure(model):
        write_state(home(), replace(state(), ready=False))  # as its starter left it before the canaries
        half = state().process
    with ensure(model):
        assert state().process != half and state().ready


def test_a_recycled_process_id_is_not_killed(model: Path) -> None:
    with ensure(model):
        pass
    server.stop(cache_dir())
    bystander = subprocess.Popen(["sleep", "60"], start_new_session=True)
    another = Process(bystander.pid, state().process.started - 100)
    write_state(home(), replace(state(), process=another))
    with ensure(model):
        assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


def test_a_run_goes_on_when_the_server_is_killed(model: Path, tmp_path: Path) -> None:
    requests = [
        ChatRequest(f"q{i}", [{"role": "user", "content": f"question {i}"}], 0.5, 1.0, 8, seed=1) for i in range(60)
    ]
    cache = ResponseCache(tmp_path / "responses.sqlite")
    with ensure(model, "--latency", "0.02") as found:
        old = state().process

        def kill(index: int, result: object) -> None:
            if index == 20:
                os.kill(old.pid, signal.SIGKILL)

        results = ask(requests, found, cache, RUNTIME, kill)
        assert [result.error for result in results] == [""] * 60
        assert [r.samples[0].text.split(" #")[0] for r in results] == [f"question {i}" for i in range(60)]
        assert state().process != old


# ── What is started ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_key_is_private(model: Path) -> None:
    with ensure(model) as found:
        lines = [" ".join(psutil.Process(pid).cmdline()) for pid in session(state().process)]
        assert len(lines) == 2 and not any(found.api_key in line for line in lines)
        assert found.api_key not in repr(found)
        assert home().stat().st_mode & 0o077 == 0


def test_a_pointer_serves_the_pinned_hub_model(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "qwen3_omni_moe"}')
    (tmp_path / "pointer.json").write_text('{"id": "org/model", "revision": "abc123"}')
    launch = describe_launch(tmp_path, SERVE, tmp_path, tmp_path)
    command = " ".join(launch.command)
    assert "--model org/model" in command and "--revision abc123" in command
    assert launch.identity["model"] == "org/model@abc123"
    assert launch.hub == ("org/model", "abc123")
    assert launch.environment["HF_HUB_OFFLINE"] == "1", "its files are fetched before, not while it starts"


def test_a_download_comes_before_the_server_and_takes_none_of_its_time(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its weights take an hour by the clock that the start is timed with."""
    now, began, fetched = time.monotonic, [0.0], []

    def fetch(*what: str) -> None:
        assert read_state(home()) is None, "nothing is started yet"
        fetched.append(what)
        began[0] = 3_600.0

    def of_a_hub(*args: object) -> Launch:
        return replace(describe_launch(*args), hub=("org/model", "abc123"))  # type: ignore[arg-type]

    monkeypatch.setattr(start.time, "monotonic", lambda: now() + began[0])
    monkeypatch.setattr(start, "fetch_model", fetch)
    monkeypatch.setattr(server, "describe_launch", of_a_hub)
    with ensure(model) as found:
        assert is_healthy(found.base_url, found.api_key, found.model_name)
    assert fetched == [("org/model", "abc123")]


def test_what_cannot_be_downloaded_starts_no_server(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(*what: str) -> None:
        raise UserError("org/model@abc123: cannot be had")

    def of_a_hub(*args: object) -> Launch:
        return replace(describe_launch(*args), hub=("org/model", "abc123"))  # type: ignore[arg-type]

    monkeypatch.setattr(start, "fetch_model", fetch)
    monkeypatch.setattr(server, "describe_launch", of_a_hub)
    with pytest.raises(UserError, match="cannot be had"), ensure(model):
        pytest.fail("it started")
    assert read_state(home()) is None


def test_a_server_looks_for_nothing_on_the_hub_and_nothing_is_reported(model: Path) -> None:
    launch = describe_launch(model, SERVE, model, model.parent)
    environment = server_environment(launch, "key")
    expected = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "VLLM_API_KEY": "key"}
    assert environment | expected == environment
    assert "--host 127.0.0.1" in " ".join(launch.command)


@pytest.mark.parametrize("change", [{"dtype": "bfloat16"}, {"max_model_len": 4096}, {"tensor_parallel_size": 2}])
def test_serve_parameters_are_part_of_identity_and_fingerprint(model: Path, change: dict[str, object]) -> None:
    one = describe_launch(model, SERVE, model, model.parent)
    other = describe_launch(model, SERVE.model_copy(update=change), model, model.parent)
    assert one.identity != other.identity and one.fingerprint != other.fingerprint


def test_the_media_root_decides_no_answer_but_which_server(model: Path, tmp_path: Path) -> None:
    one, other = (describe_launch(model, SERVE, root, tmp_path) for root in (model, tmp_path))
    assert one.identity == other.identity and one.fingerprint != other.fingerprint


def test_a_folder_is_hashed_by_names_and_content(model: Path, tmp_path: Path) -> None:
    hashes = tmp_path / "hashes.json"
    first = hash_folder(model, hashes)
    assert hash_folder(model, hashes) == first == hash_folder(model, tmp_path / "no hashes yet.json")
    (model / "config.json").rename(model / "renamed.json")
    second = hash_folder(model, hashes)
    (model / "renamed.json").write_text("[]")
    assert len({first, second, hash_folder(model, hashes)}) == 3
