"""`parity load` on the demo: starts the services of demo/services.toml, runs it, and ends them.

python -m demo.load [arguments of parity load]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from parity import runners
from parity.config import load

RUN_FILE = Path(__file__).parent / "services.toml"
START_S = 180.0
READY = b"ready on"


@contextmanager
def service(model: str, port: int) -> Iterator[None]:
    """One model's service on a port, ready when the context begins and gone when it ends."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "demo.service", "--model", model, "--port", str(port)],
            cwd=RUN_FILE.parents[1],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            deadline = time.monotonic() + START_S
            while READY not in _text(log.fileno()):
                if process.poll() is not None or time.monotonic() > deadline:
                    told = _text(log.fileno()).decode(errors="replace")
                    sys.exit(f"error: the service of {model} did not start on port {port}:\n{told}")
                time.sleep(0.1)
            yield
        finally:
            process.terminate()
            process.wait()


def _text(descriptor: int) -> bytes:
    return Path(f"/proc/self/fd/{descriptor}").read_bytes()


def main() -> int:
    """Command line; the exit code is that of `parity load`."""
    config = load(RUN_FILE, runners.SETTINGS, None)
    with ExitStack() as stack:
        for name in config.models:
            url = str(config.side(name, "reference").settings["url"])
            stack.enter_context(service(name, urlsplit(url).port or 80))
        return ended([sys.executable, "-m", "parity", "load", str(RUN_FILE), *sys.argv[1:]])


def ended(command: Sequence[str]) -> int:
    """Run a command and wait until it has ended by itself; its exit code.

    Ctrl-C in a terminal reaches the command too. It then ends what it began, which takes a while, and
    `subprocess.run` would kill it meanwhile.
    """
    process = subprocess.Popen(command)
    while True:
        with suppress(KeyboardInterrupt):
            return process.wait()


if __name__ == "__main__":
    sys.exit(main())
