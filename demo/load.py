"""`parity load` on the demo: starts the services of demo/services.toml, runs it, and ends them.

python -m demo.load [arguments of parity load]
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from parity import runners
from parity.config import load
from parity.errors import ParityError, RunnerError
from parity.provenance import sha256_of_file

RUN_FILE = Path(__file__).parent / "services.toml"
START_S = 180.0
READY = b"ready on"
HEALTH_S = 10.0
MOST_HEALTH_BYTES = 1 << 16


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
                    raise RunnerError(f"did not start:\n{told}", where=f"the service of {model}, port {port}")
                time.sleep(0.1)
            yield
        finally:
            process.terminate()
            process.wait()


def _text(descriptor: int) -> bytes:
    return Path(f"/proc/self/fd/{descriptor}").read_bytes()


def main() -> int:
    """Command line; the exit code is that of `parity load`."""
    try:
        config = load(RUN_FILE, runners.SETTINGS, None)
        urls = {name: str(config.side(name, "reference").settings["url"]) for name in config.models}
        missing = [name for name in urls if not running(urls[name], name, config.models[name].weights)]
        with ExitStack() as stack:
            for name in missing:
                stack.enter_context(service(name, urlsplit(urls[name]).port or 80))
            return ended([sys.executable, "-m", "parity", "load", str(RUN_FILE), *sys.argv[1:]])
    except ParityError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code


def running(url: str, model: str, weights: Path) -> bool:
    """Whether a service answers there with this very model. Raises RunnerError when something else does."""
    parts = urlsplit(url)
    try:
        with closing(HTTPConnection(parts.hostname or "", parts.port, timeout=HEALTH_S)) as connection:
            connection.request("GET", "/health")
            facts = json.loads(connection.getresponse().read(MOST_HEALTH_BYTES))
    except ConnectionRefusedError:
        return False
    except (OSError, HTTPException, ValueError):
        facts = None
    told = (facts.get("model"), facts.get("weights_sha256")) if isinstance(facts, dict) else None
    if weights.is_file() and told == (model, sha256_of_file(weights)):
        sys.stdout.write(f"{model}: the service that already runs on {url} is used\n")
        return True
    raise RunnerError(
        f"the port is in use by something else than the service of {model} with these weights",
        where=url,
        remedy="stop it, and try again",
    )


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
