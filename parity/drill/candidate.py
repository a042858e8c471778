"""The candidate of a drill: started, taken away, started again."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Literal

from parity.errors import RunnerError
from parity.runners import Runner
from parity.runners.embedded import EmbeddedServer

Removal = Literal["killed", "disconnected"]
KILL_TIMEOUT_S = 20.0
POLL_S = 0.02


class Candidate:
    """A runner that comes and goes. make: a new one, not yet entered."""

    def __init__(self, make: Callable[[], Runner]) -> None:
        self.make = make
        self.runner: Runner | None = None
        self._stack = ExitStack()

    def start(self) -> Runner:
        """Enter a new runner, the earlier one left. Raises what runners raise."""
        self.close()
        with ExitStack() as stack:
            self.runner = stack.enter_context(self.make())
            self._stack = stack.pop_all()
        return self.runner

    def take_away(self) -> tuple[Removal, str]:
        """Kill its server, if parity started that itself, else close the connection; what was done, in words.

        The runner stays in place, as a backend's client does when its server dies. A server that somebody
        else started is never touched. Raises RunnerError when the server does not end.
        """
        server = getattr(self.runner, "server", None)
        if not isinstance(server, EmbeddedServer):
            self._stack.close()
            told = "parity did not start its server, so only the connection was closed; kill it to see more"
            return "disconnected", told
        if server.alive():
            os.kill(server.triton.pid, signal.SIGKILL)
        deadline = time.monotonic() + KILL_TIMEOUT_S
        while server.alive():
            if time.monotonic() > deadline:
                raise RunnerError(f"the server lives {KILL_TIMEOUT_S:.0f} s after kill -9", where="drill")
            time.sleep(POLL_S)
        return "killed", "its server, which parity had started, was ended by kill -9"

    def close(self) -> None:
        """Leave the runner; harmless when it was left already."""
        self.runner = None
        self._stack.close()
