"""The embedded Triton: a real tritonserver on this machine, started for a run and gone after it."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, final

from parity.errors import RunnerError
from parity.progress import Progress, Silent, Step
from parity.serving.environment import TritonEnvironment
from parity.serving.process import GRACE_S, SupervisedProcess, Workspace
from parity.serving.served_model import ServedModel, write_model

__all__ = ["EmbeddedTriton", "ServedModel"]

HOST = "127.0.0.1"
START_TIMEOUT_S = 120.0
POLL_S = 0.05
LOG_LINES = 30
LOG_WIDTH = 400
PORT_ATTEMPTS = 3
PORT_TAKEN = "already in use"
METRIC = b"nv_inference_"


@final
class EmbeddedTriton:
    """A context manager around one server process with its models, reachable on loopback only.

    The server never outlives this process: `parity.serving.supervisor` stops it when the context ends, and
    also when this process is killed. Ctrl-C in the terminal does not reach it, so that parity can end its
    work first. Not for use from several threads at once while it starts or stops.
    """

    def __init__(
        self,
        models: Sequence[ServedModel],
        environment: TritonEnvironment,
        log_path: Path,
        *,
        start_timeout_s: float = START_TIMEOUT_S,
        progress: Progress | None = None,
    ) -> None:
        """models: at least one, names distinct. log_path: the server's own log, written anew."""
        if not models or len({model.name for model in models}) != len(models):
            raise ValueError("an embedded server takes one or more models with distinct names")
        self.models = tuple(models)
        self.environment = environment
        self.log_path = log_path
        self.start_timeout_s = start_timeout_s
        self.progress = progress or Silent()
        self.pid = 0
        self.version = ""
        self._ports = (0, 0, 0)
        self._process: SupervisedProcess | None = None
        self._workspace: Workspace | None = None

    @property
    def grpc_url(self) -> str:
        """`host:port`, as tritonclient.grpc takes it."""
        return f"{HOST}:{self._ports[0]}"

    @property
    def http_url(self) -> str:
        """`host:port`, as tritonclient.http takes it."""
        return f"{HOST}:{self._ports[1]}"

    @property
    def metrics_url(self) -> str:
        """The address of the Prometheus metrics, with scheme and path."""
        return f"http://{HOST}:{self._ports[2]}/metrics"

    def __enter__(self) -> EmbeddedTriton:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server and wait until every model is ready.

        Raises RunnerError with the end of the server's log when it ends, or is not ready in time.
        """
        # Counted is what is ready: the server's HTTP, each model, the metrics.
        with self.progress.step("starting the embedded Triton", len(self.models) + 2) as step:
            # Another process can take a port between our look and the server's bind.
            if not any(self._start_once(step) for _ in range(PORT_ATTEMPTS)):
                raise self._failure(f"other processes took its ports, {PORT_ATTEMPTS} times")

    def alive(self) -> bool:
        """Whether the server's process runs."""
        return self._process is not None and self._process.alive()

    def stop(self) -> None:
        """End the server and everything that it started; harmless when it does not run."""
        process, self._process = self._process, None
        workspace, self._workspace = self._workspace, None
        try:
            if process is not None:
                process.stop()
        finally:
            if workspace is not None:
                workspace.remove()

    def log_tail(self, lines: int = LOG_LINES) -> str:
        """The last lines of the server's own log, without the wide tables that would hide them."""
        try:
            text = self.log_path.read_text(errors="replace")
        except OSError:
            return ""
        told = [line[:LOG_WIDTH] for line in text.splitlines() if line.strip() and line[0] not in "|+"]
        return "\n".join(told[-lines:])

    def provenance(self) -> dict[str, Any]:
        """What serves: JSON values only, no addresses."""
        packages = self.environment.packages
        return {
            "server": "tritonserver",
            "server_version": self.version,
            "backend": "python + onnxruntime",
            "python": self.environment.python_version,
            "versions": {
                name: packages[name]
                for name in ("nvidia-pytriton", "onnxruntime", "numpy")
                if name in packages
            },
        }

    def _start_once(self, step: Step) -> bool:
        """Start on ports that are free now; False when another process took one of them."""
        started = False
        try:
            self._launch()
            self._wait_until_ready(step)
            started = True
        except RunnerError:
            if PORT_TAKEN not in self.log_tail(200):
                raise
        finally:
            if not started:
                self.stop()
        return started

    def _launch(self) -> None:
        """Write the repository and start the server in its workspace."""
        workspace = self._workspace = Workspace()
        repository = workspace.folder / "models"
        for model in self.models:
            write_model(repository / model.name, model)
        self._ports = _free_ports()
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        self.log_path.write_bytes(b"")
        command = self._command(repository, workspace.shm_prefix)
        self._process = SupervisedProcess(command, self.environment.variables(), workspace, self.log_path)
        self.pid = self._process.pid

    def _command(self, repository: Path, shm_prefix: str) -> list[str]:
        grpc, http, metrics = self._ports
        return [
            str(self.environment.server),
            f"--model-repository={repository}",
            f"--backend-directory={self.environment.backends}",
            f"--backend-config=python,shm-region-prefix-name={shm_prefix}",
            f"--grpc-address={HOST}",
            f"--grpc-port={grpc}",
            f"--http-address={HOST}",
            f"--http-port={http}",
            f"--metrics-address={HOST}",
            f"--metrics-port={metrics}",
            "--metrics-config=summary_latencies=true",
            "--disable-auto-complete-config",
            f"--exit-timeout-secs={int(GRACE_S / 2)}",
        ]

    def _wait_until_ready(self, step: Step) -> None:
        """Poll until server and models are ready; the server is ready only when all its models are."""
        deadline = time.monotonic() + self.start_timeout_s
        told = 0
        while True:
            ready = self._ready()
            step.advance(max(0, ready - told))
            told = max(told, ready)
            if not self.alive():
                raise self._failure("the server ended before it was ready")
            if ready == len(self.models) + 2:
                return
            if time.monotonic() > deadline:
                raise self._failure(f"the server was not ready after {self.start_timeout_s:.0f} s")
            time.sleep(POLL_S)

    def _ready(self) -> int:
        """How many parts are ready: the server's HTTP, each model, and the metrics, which start last."""
        metadata = _fetch(f"http://{self.http_url}/v2")
        if metadata is None:
            return 0
        self.version = str(json.loads(metadata)["version"])
        models = (_fetch(f"http://{self.http_url}/v2/models/{model.name}/ready") for model in self.models)
        ready = 1 + sum(answer is not None for answer in models)
        if ready <= len(self.models) or _fetch(f"http://{self.http_url}/v2/health/ready") is None:
            return ready
        return ready + (METRIC in (_fetch(self.metrics_url) or b""))

    def _failure(self, found: str) -> RunnerError:
        return RunnerError(
            f"{found}; the end of its log:\n{self.log_tail()}",
            where=f"embedded Triton with {', '.join(model.name for model in self.models)}",
            expected="a server with every model ready",
            remedy="mend what the end of the log names",
        )


def _free_ports() -> tuple[int, int, int]:
    """Three loopback ports that are free now: gRPC, HTTP, metrics."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(3)]
        for each in sockets:
            each.bind((HOST, 0))
        first, second, third = (int(each.getsockname()[1]) for each in sockets)
    return first, second, third


def _fetch(url: str) -> bytes | None:
    """The body of a successful answer from loopback, past any proxy; None while there is none."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as response:
            return bytes(response.read())
    except (OSError, http.client.HTTPException):
        return None
