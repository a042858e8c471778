"""The embedded Triton: a real tritonserver on this machine, started for a run and gone after it."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from parity.errors import RunnerError
from parity.progress import Progress, Silent
from parity.serving.environment import TritonEnvironment

HOST = "127.0.0.1"
GRACE_S = 10.0
START_TIMEOUT_S = 120.0
POLL_S = 0.05
LOG_LINES = 30
PORT_ATTEMPTS = 3
_HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """One model of the embedded repository.

    onnx: the network, copied. config: text of its config.pbtxt (backend "python"). files: further files of
    its folder by relative name, such as labels.
    """

    name: str
    onnx: Path
    config: str
    files: Mapping[str, str] = field(default_factory=dict)


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
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None
        self._shm_prefix = ""

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
        with self.progress.step("starting the embedded Triton"):
            for attempt in range(PORT_ATTEMPTS):
                try:
                    self._launch()
                    self._wait_until_ready()
                    return
                except RunnerError:
                    self.stop()
                    # Another process can take a port between our look and the server's bind.
                    if attempt + 1 == PORT_ATTEMPTS or not self._port_was_taken():
                        raise
                except BaseException:
                    self.stop()
                    raise

    def alive(self) -> bool:
        """Whether the server's process runs."""
        return self._supervisor is not None and self._supervisor.poll() is None

    def stop(self) -> None:
        """End the server and everything that it started; harmless when it does not run."""
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            with contextlib.suppress(OSError):  # it may have ended by itself
                assert supervisor.stdin is not None
                supervisor.stdin.write(b"stop\n")
                supervisor.stdin.close()
            try:
                supervisor.wait(GRACE_S + 10)
            except subprocess.TimeoutExpired:
                supervisor.kill()  # the kernel then kills the server
                supervisor.wait()
            finally:
                if supervisor.stdout is not None:
                    supervisor.stdout.close()
        if self._shm_prefix:
            for path in glob.glob(f"/dev/shm/{self._shm_prefix}*"):
                Path(path).unlink(missing_ok=True)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def log_tail(self, lines: int = LOG_LINES) -> str:
        """The last lines of the server's own log."""
        try:
            return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""

    def provenance(self) -> dict[str, Any]:
        """What serves: JSON values only, no addresses."""
        packages = self.environment.packages
        return {
            "server": "tritonserver",
            "server_version": self.version,
            "backend": "python + onnxruntime",
            "python": self.environment.python_version,
            "versions": {
                name: packages[name] for name in ("nvidia-pytriton", "onnxruntime", "numpy") if name in packages
            },
        }

    def _launch(self) -> None:
        """Write the repository and start the supervisor, which starts the server."""
        self._shm_prefix = f"parity_{os.getpid()}_{uuid.uuid4().hex[:8]}_"
        self._folder = Path(tempfile.mkdtemp(prefix="parity-triton-"))
        repository = self._folder / "models"
        for model in self.models:
            _write_model(repository / model.name, model)
        self._ports = _free_ports()
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        self.log_path.write_bytes(b"")
        request = {
            "command": self._command(repository),
            "environment": self.environment.variables(),
            "folder": str(self._folder),
            "log": str(self.log_path.resolve()),
            "shm_prefix": self._shm_prefix,
            "grace_s": GRACE_S,
        }
        self._supervisor = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_HERE / "supervisor.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert self._supervisor.stdin is not None and self._supervisor.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # told below by the missing answer
            self._supervisor.stdin.write(json.dumps(request).encode() + b"\n")
            self._supervisor.stdin.flush()
        answered, _, _ = select.select([self._supervisor.stdout], [], [], 30)
        line = self._supervisor.stdout.readline() if answered else b""
        answer = json.loads(line) if line.endswith(b"\n") else {"error": "the supervisor does not answer"}
        if "pid" not in answer:
            raise RunnerError(f"tritonserver cannot be started: {answer['error']}", where="embedded Triton")
        self.pid = int(answer["pid"])

    def _command(self, repository: Path) -> list[str]:
        grpc, http, metrics = self._ports
        return [
            str(self.environment.server),
            f"--model-repository={repository}",
            f"--backend-directory={self.environment.backends}",
            f"--backend-config=python,shm-region-prefix-name={self._shm_prefix}",
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

    def _wait_until_ready(self) -> None:
        """Poll until server and models are ready; the server is ready only when all its models are."""
        deadline = time.monotonic() + self.start_timeout_s
        while True:
            if not self.alive():
                raise self._failure("the server ended before it was ready")
            metadata = self._get("v2")
            if metadata is not None and self._get("v2/health/ready") is not None:
                self.version = str(metadata.get("version", ""))
                return
            if time.monotonic() > deadline:
                raise self._failure(f"the server was not ready after {self.start_timeout_s:.0f} s")
            time.sleep(POLL_S)

    def _get(self, path: str) -> dict[str, Any] | None:
        """The JSON answer of the server, {} for an empty one, None while there is none."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://{self.http_url}/{path}", timeout=5) as response:
                answer = json.loads(response.read() or b"{}")
        except (OSError, ValueError):
            return None
        return answer if isinstance(answer, dict) else None

    def _failure(self, found: str) -> RunnerError:
        return RunnerError(
            f"{found}; the end of its log:\n{self.log_tail()}",
            where=f"embedded Triton with {', '.join(model.name for model in self.models)}",
            expected="a server with every model ready",
            remedy=f"read the whole log in {self.log_path}",
        )

    def _port_was_taken(self) -> bool:
        return "Address already in use" in self.log_tail(200)


def _write_model(folder: Path, model: ServedModel) -> None:
    """One model of the embedded repository: configuration, version 1 with the network, the backend's code."""
    version = folder / "1"
    version.mkdir(parents=True)
    for name, text in {"config.pbtxt": model.config, **model.files}.items():
        (folder / name).write_text(text, encoding="utf-8")
    shutil.copyfile(_HERE / "onnx_backend_model.py", version / "model.py")
    try:
        shutil.copyfile(model.onnx, version / "model.onnx")
    except OSError as error:
        raise RunnerError(f"the network cannot be copied: {error.strerror}", where=str(model.onnx)) from error


def _free_ports() -> tuple[int, int, int]:
    """Three loopback ports that are free now: gRPC, HTTP, metrics."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(3)]
        for each in sockets:
            each.bind((HOST, 0))
        first, second, third = (int(each.getsockname()[1]) for each in sockets)
    return first, second, third
