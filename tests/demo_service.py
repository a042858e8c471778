"""The demo's FastAPI service as a real process on a free loopback port, for every test that needs one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.integration.helpers import ROOT, eventually

START_S = 180.0


@dataclass(kw_only=True)
class DemoService:
    """A service that was started. log: what it says."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    @cached_property
    def url(self) -> str:
        """http://127.0.0.1:PORT, without a path, as soon as it answers there."""
        eventually(lambda: b"ready on" in self.log.read_bytes() or not self.alive, START_S)
        ready = re.search(r"ready on (http://\S+)\n", self.log.read_text())
        assert ready, f"the demo service did not start:\n{self.log.read_text()}"
        return ready[1]


@contextmanager
def demo_service(model: str, *arguments: str) -> Iterator[DemoService]:
    """Start `python -m demo.service` for a model of parity.toml, and end it; `url` waits for it."""
    with tempfile.TemporaryDirectory(prefix="parity-demo-service-") as folder:
        log = Path(folder) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "demo.service", "--model", model, "--port", "0", *arguments],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            yield DemoService(process=process, log=log)
        finally:
            process.kill()
            process.wait()


class DemoServices:
    """One service a model for the whole test run, started when it is first asked for, without waiting.

    A test may kill one: whoever asks next gets a new one.
    """

    def __init__(self) -> None:
        self.stack = ExitStack()
        self.running: dict[str, DemoService] = {}

    def get(self, model: str) -> DemoService:
        running = self.running.get(model)
        if running is None or not running.alive:
            running = self.running[model] = self.stack.enter_context(demo_service(model))
        return running

    def close(self) -> None:
        self.stack.close()
