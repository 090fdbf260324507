"""The parent process of a server: starts it, and stops it when nobody needs it any more.

    python -m audio_reasoning.engines.server.supervisor <folder of the server's state> <command…>

It leads a session of its own, so the whole server can be killed as one, by others too
(`processes.end_session`). Should it be killed itself, the kernel kills the server with it.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from audio_reasoning.engines.server.processes import CLEAN_UP_S, describe, die_with_parent, wait_for_session
from audio_reasoning.engines.server.state import Lock, State, read_state

TICK_S = 0.5
GRACE_S = 5.0  # between two stages, and between two dvc commands of one script
PATIENCE_S = 15.0  # for the server to end by itself


def main() -> None:
    """Run the command until it ends, or is no longer needed, or SIGTERM comes."""
    home, command = Path(sys.argv[1]), sys.argv[2:]
    signal.signal(signal.SIGTERM, _exit)
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)
    reason = "asked to stop"
    try:
        reason = watch(home, server)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print(f"supervisor: {reason}", flush=True)
        _stop(server)


def watch(home: Path, server: "subprocess.Popen[bytes]") -> str:
    """Wait until the server has ended or should end; return why.

    From the moment when it should end, the lease is held exclusively, until this process has ended:
    nobody can come to use a server that is being stopped.
    """
    lease = Lock(home / "lease.lock")
    unused_since = time.monotonic()
    while server.poll() is None:
        time.sleep(TICK_S)
        if home.exists() and not lease.try_take(exclusive=True):
            unused_since = time.monotonic()
        elif reason := reason_to_stop(read_state(home), time.monotonic() - unused_since):
            return reason
        else:
            lease.release()
    return f"the server ended by itself (exit code {server.returncode})"


def reason_to_stop(state: State | None, unused_s: float) -> str:
    """Why this process should stop its server, unused for `unused_s`; empty if it should not."""
    if state is None or state.process.pid != os.getpid():
        return "its state file is gone, so nobody can find this server" if unused_s > GRACE_S else ""
    if unused_s > state.idle_s:
        return f"not used for {state.idle_s:g} s"
    orphaned = bool(state.owners) and not any(owner.alive for owner in state.owners)
    if orphaned and not state.keep and unused_s > GRACE_S:
        return "the dvc command that used it has ended"
    return ""


def _stop(server: "subprocess.Popen[bytes]") -> None:
    """Let the server end by itself, then kill what is left of this session, this process included."""
    if server.poll() is None:
        server.terminate()
    with suppress(subprocess.TimeoutExpired):
        server.wait(PATIENCE_S)
    wait_for_session(describe(os.getpid()), CLEAN_UP_S)
    os.killpg(0, signal.SIGKILL)


def _exit(*_: object) -> None:
    sys.exit(0)


if __name__ == "__main__":
    main()
