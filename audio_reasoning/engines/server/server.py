"""One local vLLM server for all stages: found, started, replaced and stopped as needed.

    audio-reasoning server status
    audio-reasoning server stop

A server is not a stage: `dvc repro` with nothing to do starts none. It stops when no process has used it
for a while, and a few seconds after the dvc command that used it has ended; AUDIO_REASONING_KEEP_SERVER=1
turns the latter off. AUDIO_REASONING_PORT fixes its port.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from audio_reasoning.engines.endpoint import Server, is_healthy
from audio_reasoning.engines.params import Runtime, Serve
from audio_reasoning.engines.server.adapters import load_adapter
from audio_reasoning.engines.server.launch import LAUNCHER, Launch, describe_launch
from audio_reasoning.engines.server.processes import end_session
from audio_reasoning.engines.server.start import claim, start
from audio_reasoning.engines.server.state import Lock, State, log_path, read_state, server_home, start_lock
from audio_reasoning.engines.server.supervisor import PATIENCE_S


@contextmanager
def ensure(
    model_dir: Path,
    serve: Serve,
    runtime: Runtime,
    media_root: Path,
    work: Path,
    program: Sequence[str] = LAUNCHER,
    adapter: Path | None = None,
    clips: int = 1,
) -> Iterator[Server]:
    """A running server for the model in `model_dir` with `adapter` on it, which stays while the context lasts.

    A server that was started for the same files, parameters and vLLM version is used again. Another one
    is replaced, as soon as no process uses it. Requests may name audio files below `media_root`, up to `clips` each;
    `work` is the folder that all who share a server name.

    With serve.adapters: lora, one server has the model and its adapters; with merge, each merged checkpoint has a
    server of its own, and is there already (`audio_reasoning.families.merged`).

    Raises UserError when it does not start, or fails its canaries; the message ends with its log. Also when it does
    not load the adapter; it goes on running then.
    """
    home = server_home(work)
    launch = describe_launch(model_dir, serve, media_root, work, program, adapter, clips)
    lease = Lock(home / "lease.lock")

    def acquire() -> Server:
        lease.release()  # who waits for a server is in nobody's way
        with start_lock(home):
            state = _acquire(home, launch, runtime, lease)
            if launch.adapter is not None:
                load_adapter(state.base_url, state.api_key, launch.adapter, launch.request_name)
        return Server(
            backend="vllm",
            base_url=state.base_url,
            api_key=state.api_key,
            model_name=launch.request_name,
            identity=launch.identity,
            fingerprint=launch.fingerprint,
            media_root=launch.media_root,
            recover=acquire,
        )

    try:
        yield acquire()
    finally:
        lease.release()


def planned(
    model_dir: Path, serve: Serve, media_root: Path, work: Path, adapter: Path | None = None, clips: int = 1
) -> Server:
    """What `ensure` would yield, without an address: enough to look for its answers in the cache."""
    launch = describe_launch(model_dir, serve, media_root, work, adapter=adapter, clips=clips)
    return Server("vllm", "", "", launch.request_name, launch.identity, launch.fingerprint, launch.media_root)


def stop(work: Path) -> bool:
    """Stop the server of `work`, used or not; False when none runs."""
    state = read_state(server_home(work))
    if state is None or not state.process.alive:
        return False
    _end(state)
    return True


def status(work: Path) -> str:
    """A line on the server of `work`, without its key."""
    home = server_home(work)
    state = read_state(home)
    if state is None or not state.process.alive:
        return "no server runs"
    lease = Lock(home / "lease.lock")
    used = "not in use" if lease.try_take(exclusive=True) else "in use"
    lease.release()
    answers = "answers" if _answers(state) else "starting" if not state.ready else "does not answer"
    minutes = (time.time() - state.process.started) / 60
    return (
        f"{state.model_name} at {state.base_url}: {answers}, {used}, started {minutes:.0f} min ago "
        f"(process {state.process.pid}, log {log_path(home)})"
    )


def _acquire(home: Path, launch: Launch, runtime: Runtime, lease: Lock) -> State:
    """Use the running server or start one; the lease is then held, shared."""
    state = read_state(home)
    if state is not None and state.process.alive and state.fingerprint != launch.fingerprint:
        lease.take(exclusive=True, waiting="another process uses the server with another model or parameters")
    else:
        lease.take(exclusive=False)
        if state is not None and state.fingerprint == launch.fingerprint and state.ready and _answers(state):
            return claim(home, state, runtime)
    if state is not None:
        _end(state)
    state = start(home, launch, runtime)
    lease.take(exclusive=False)
    return state


def _answers(state: State) -> bool:
    return state.process.alive and is_healthy(state.base_url, state.api_key, state.model_name)


def _end(state: State) -> None:
    end_session(state.process, PATIENCE_S + 5)
