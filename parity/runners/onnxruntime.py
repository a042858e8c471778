"""The exported network in ONNX Runtime, in process: the rungs between PyTorch and an engine."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import Self

from parity.errors import EvidenceError, RunnerError, first_line
from parity.provenance import package_version, sha256_of_file
from parity.quiet import QUIET
from parity.repository.export import export_onnx
from parity.repository.names import check_names
from parity.repository.precision import Precision, Signature, read_signature
from parity.runners.base import RunnerContext, RunnerSettings
from parity.runners.embedded import calibration
from parity.runners.network import NetworkRunner, check_signature

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class OnnxRuntimeSettings(RunnerSettings):
    """Settings of the runner `onnxruntime`."""

    precision: Precision = Field("fp32", description="Precision of the exported graph.")
    onnx: Path | None = Field(None, description="Run this network; none: the weights are exported.")
    provider: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where ONNX Runtime runs it.")
    threads: int = Field(0, ge=0, description="Threads within an operator; 0: its own choice.")
    calibration_images: int = Field(100, ge=1, description="Images that INT8 is calibrated on.")


class OnnxRuntimeRunner(NetworkRunner):
    """Runs the network image by image, batch 1."""

    Settings: ClassVar[type[RunnerSettings]] = OnnxRuntimeSettings

    def __init__(self, context: RunnerContext, settings: OnnxRuntimeSettings) -> None:
        super().__init__(context)
        self.settings = settings
        self.session: Any = None
        self.facts: dict[str, Any] = {}

    def __enter__(self) -> Self:
        for key, value in QUIET.items():
            os.environ.setdefault(key, value)
        try:
            import onnxruntime
        except ImportError as error:
            raise RunnerError(
                f"ONNX Runtime cannot be imported: {error}", remedy="pip install 'triton-parity[embedded]'"
            ) from error
        path, signature = self._network()
        with self.context.progress.step(f"{self.context.name}: loading ONNX Runtime", 1) as step:
            self.session = _open(onnxruntime, path, self._device(onnxruntime), self.settings.threads)
            step.advance()
        check_signature(self.context, signature, str(path))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.session = None

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the network. Raises RunnerError when it fails."""
        try:
            output = self.session.run(None, {self.session.get_inputs()[0].name: batch})[0]
        except Exception as error:  # the runtime's exceptions have no common base
            raise RunnerError(f"ONNX Runtime: {first_line(error)}", where=self.context.name) from error
        return np.asarray(output, np.float32)

    def _network(self) -> tuple[Path, Signature]:
        """The network, exported or given, and what it takes and gives; facts about it on the way."""
        given = self.settings.onnx
        if given is None:
            wanted = self.settings.precision
            images = calibration(self.context, self.settings.calibration_images) if wanted == "int8" else ()
            exported = export_onnx(
                self.context.model, wanted, self.context.cache, images, self.context.progress
            )
            check_names(self.context.model, exported.names)
            self.facts = {"precision": wanted, "network": exported.provenance()}
            return exported.path, exported.signature
        if not given.is_file():
            raise EvidenceError("no such network", where=str(given), expected="an ONNX file")
        self.facts = {"precision": "as in the network", "onnx_sha256": sha256_of_file(given)}
        return given, read_signature(given, self.context.model.input_size)

    def _device(self, onnxruntime: Any) -> str:
        """Which of PROVIDERS. Raises RunnerError for a CUDA that is asked for and not there."""
        there = PROVIDERS["cuda"] in onnxruntime.get_available_providers()
        if self.settings.provider == "cuda" and not there:
            raise RunnerError(
                "this ONNX Runtime has no CUDA",
                where=f"runner onnxruntime of {self.context.name}",
                expected=PROVIDERS["cuda"],
                remedy="install onnxruntime-gpu, or set provider = 'cpu' or 'auto'",
            )
        device = "cuda" if there and self.settings.provider != "cpu" else "cpu"
        self.facts["device"] = device
        return device

    def provenance(self) -> dict[str, Any]:
        """What ran."""
        versions = (
            "onnxruntime-gpu" if package_version("onnxruntime-gpu") else "onnxruntime",
            "onnx",
        )
        return {
            "runner": "onnxruntime",
            "in_process": "onnxruntime",
            "backend": "onnxruntime",
            "threads": self.settings.threads,
            **self.facts,
            "versions": {name: package_version(name) for name in versions},
        }


def _open(onnxruntime: Any, path: Path, device: str, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=[PROVIDERS[device]])
    except Exception as error:
        raise EvidenceError(
            f"ONNX Runtime cannot load it ({first_line(error)})", where=str(path), expected="an ONNX network"
        ) from error
    if session.get_providers()[0] != PROVIDERS[device]:
        # It falls back by itself and says so only in its log.
        raise RunnerError(
            f"ONNX Runtime fell back to {session.get_providers()[0]}",
            where=str(path),
            expected=PROVIDERS[device],
            remedy="mend the CUDA installation, or set provider = 'cpu'",
        )
    return session
