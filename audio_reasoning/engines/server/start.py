"""Starting a server: a port, a key, a supervisor, and the wait until it answers as it should."""

import os
import secrets
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from audio_reasoning.core.errors import UserError
from audio_reasoning.core.hub import fetch_model
from audio_reasoning.engines.endpoint import is_healthy
from audio_reasoning.engines.params import Runtime
from audio_reasoning.engines.server.canaries import check_canaries
from audio_reasoning.engines.server.launch import Launch, server_environment
from audio_reasoning.engines.server.processes import Process, describe, dvc_ancestor, end_session
from audio_reasoning.engines.server.state import State, log_path, write_state
from audio_reasoning.engines.server.supervisor import PATIENCE_S

_ROOT = Path(__file__).parents[3]  # where `python -m audio_reasoning…` works
_LOG_LINES = 20
_SUPERVISOR = (sys.executable, "-m", "audio_reasoning.engines.server.supervisor")


def start(home: Path, launch: Launch, runtime: Runtime) -> State:
    """Start a server and wait until it is ready. The caller holds the start lock and the lease.

    A hub model that is not in the hub's cache (`models/base` came from another machine) is downloaded before.

    Raises UserError when it ends early, takes longer than runtime.server_start_s, or fails its canaries;
    it is stopped then. Also when its model cannot be downloaded.
    """
    if launch.hub:
        fetch_model(*launch.hub)
    began = time.monotonic()
    port, api_key, log = free_port(), secrets.token_urlsafe(32), log_path(home)
    if log.exists():
        log.replace(log.with_name("server.previous.log"))
    print(f"Starting vLLM {launch.version} with {launch.model_name} … (log: {log})", file=sys.stderr, flush=True)
    with log.open("wb") as output:
        supervisor = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "audio_reasoning.engines.server.supervisor",
                str(home),
                *launch.command,
                "--port",
                str(port),
            ],
            cwd=_ROOT,
            env=server_environment(launch, api_key),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    process = describe(supervisor.pid)
    try:
        state = State(
            process=process,
            owners=(),
            fingerprint=launch.fingerprint,
            model_name=launch.model_name,
            port=port,
            api_key=api_key,
            idle_s=runtime.server_idle_s,
            keep=False,
            ready=False,
        )
        state = claim(home, state, runtime)
        _wait(supervisor, state, began + runtime.server_start_s, log)
        check_canaries(state.base_url, state.api_key, state.model_name, launch.audio_tokens)
        state = replace(state, ready=True)
        write_state(home, state)
    except BaseException:
        end_session(process, PATIENCE_S + 5)
        supervisor.wait()
        raise
    print(f"vLLM answers after {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return state


def claim(home: Path, state: State, runtime: Runtime) -> State:
    """Record that this process uses the server, and the dvc command that it works for, if any."""
    owners = {owner for owner in (*state.owners, dvc_ancestor()) if owner is not None and owner.alive}
    state = replace(
        state,
        owners=tuple(sorted(owners, key=_pid)),
        idle_s=runtime.server_idle_s,
        keep=state.keep or os.environ.get("AUDIO_REASONING_KEEP_SERVER", "") not in ("", "0"),
    )
    write_state(home, state)
    return state


def free_port() -> int:
    """AUDIO_REASONING_PORT, or one that the system picks.

    Raises UserError when the port is taken, or not a port.
    """
    wanted = os.environ.get("AUDIO_REASONING_PORT", "0")
    if not wanted.isdecimal() or int(wanted) > 65535:
        raise UserError(f"AUDIO_REASONING_PORT={wanted}: not a port; choose one from 1024 to 65535, or unset it")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", int(wanted)))
        except OSError as error:
            raise UserError(
                f"AUDIO_REASONING_PORT={wanted}: {error.strerror}; end the program that listens there "
                f"(`ss -ltnp 'sport = {wanted}'`), choose another port, or unset it to have a free one picked"
            ) from None
        return int(probe.getsockname()[1])


def _wait(supervisor: "subprocess.Popen[bytes]", state: State, deadline: float, log: Path) -> None:
    while not is_healthy(state.base_url, state.api_key, state.model_name):
        if supervisor.poll() is not None:
            raise UserError(f"vLLM ended while it was starting. {_tail(log)}")
        if time.monotonic() > deadline:
            raise UserError(f"vLLM did not answer within runtime.server_start_s. {_tail(log)}")
        time.sleep(0.25)


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n  ".join([f"The end of its log, {log}:", *lines[-_LOG_LINES:]])


def _pid(process: Process) -> int:
    return process.pid
