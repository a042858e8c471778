"""One model on one Triton server, spoken to over gRPC: checked once, then asked many times."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.config import Head, ModelConfig
from parity.errors import EvidenceError, RunnerError
from parity.heads import expected_shape, shape_fits

TENSORRT_PLATFORM = "tensorrt_plan"


@dataclass(frozen=True, kw_only=True)
class Contract:
    """Names of the one input and the one output."""

    input: str
    output: str


class TritonClient:
    """A thread-safe client (tritonclient's gRPC client is) of one model."""

    def __init__(self, url: str, *, model: str, version: str, timeout: float) -> None:
        try:
            from tritonclient import grpc
        except (ImportError, RuntimeError) as error:  # tritonclient turns a missing grpc into the latter
            raise RunnerError(
                f"tritonclient cannot be imported: {error}", remedy="pip install 'triton-parity[triton]'"
            ) from error
        self.grpc = grpc
        self.url = url
        self.model = model
        self.version = version
        self.timeout = timeout
        self.contract: Contract | None = None
        self.head: tuple[Head, int] | None = None
        self.facts: dict[str, Any] = {}
        try:
            self.connection = grpc.InferenceServerClient(url)
        except Exception as error:  # grpc raises bare exceptions on malformed addresses
            raise RunnerError(
                f"not a usable address: {error}", where=url, expected="host:port of Triton's gRPC"
            ) from error

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def live(self) -> bool:
        """Whether the server says that it is live, within two seconds."""
        try:
            return bool(self.connection.is_server_live(client_timeout=2.0))
        except self.grpc.InferenceServerException:
            return False

    def check(self, model: ModelConfig) -> Contract:
        """Make sure that a Triton is there, has the model ready, and that its tensors are the run file's.

        Raises RunnerError when the server or the model is not there, EvidenceError when tensors differ.
        """
        server = self._ask("the server's metadata", self.connection.get_server_metadata)
        if "triton" not in str(server.get("name", "")).lower():
            raise RunnerError(
                f"a server that calls itself {server.get('name')!r}",
                where=self.url,
                expected="a Triton server",
            )
        if not self._ready():
            index = self._ask("its models", self.connection.get_model_repository_index)
            known = ", ".join(
                f"{m.get('name')} ({m.get('reason') or m.get('state', 'not loaded')})"
                for m in index.get("models", [])
            )
            version = f" version {self.version}" if self.version else ""
            raise RunnerError(
                f"the model {self.model!r}{version} is not ready",
                where=self.url,
                expected=f"one of: {known or 'none is there'}",
                remedy="load it, or name the model in the run file with `model` and `version`",
            )
        metadata = self._ask(
            "the model's metadata", self.connection.get_model_metadata, self.model, self.version
        )
        config = self._ask(
            "the model's configuration", self.connection.get_model_config, self.model, self.version
        )
        self.contract = self._tensors(metadata, model)
        self.head = model.head, len(model.names)
        self._remember(server, metadata, config.get("config", {}))
        return self.contract

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Send a float32 batch (n, 3, H, W); the output is (n, ...). Raises RunnerError."""
        contract = self.contract
        if contract is None:
            raise RunnerError("`check` comes before `infer`", where=self.url)
        tensor = self.grpc.InferInput(contract.input, list(batch.shape), "FP32")
        tensor.set_data_from_numpy(batch)
        try:
            response = self.connection.infer(
                self.model,
                [tensor],
                model_version=self.version,
                outputs=[self.grpc.InferRequestedOutput(contract.output)],
                client_timeout=self.timeout,
            )
        except self.grpc.InferenceServerException as error:
            raise RunnerError(_reason(error), where=self.url) from error
        output = response.as_numpy(contract.output)
        if output is None or len(output) != len(batch) or not self._fits(output.shape[1:]):
            shape = None if output is None else output.shape
            raise RunnerError(f"an output of shape {shape} for a batch of {len(batch)}", where=self.url)
        return np.asarray(output, np.float32)

    def _fits(self, shape: tuple[int, ...]) -> bool:
        return self.head is not None and shape_fits(shape, *self.head)

    def provenance(self) -> dict[str, Any]:
        """Server version, model version, platform, backend, tensors and the digest of the configuration."""
        return self.facts

    def _ask(self, what: str, call: Any, *arguments: Any) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = call(*arguments, as_json=True, client_timeout=self.timeout)
            return answer
        except self.grpc.InferenceServerException as error:
            raise RunnerError(
                f"no answer about {what}: {_reason(error)}",
                where=self.url,
                expected="the gRPC port of a running Triton server (8001 by default; 8000 is HTTP)",
                remedy="start the server or mend `url`; without `url` parity starts its own",
            ) from error

    def _ready(self) -> bool:
        try:
            return bool(self.connection.is_model_ready(self.model, self.version, client_timeout=self.timeout))
        except self.grpc.InferenceServerException:
            return False

    def _tensors(self, metadata: dict[str, Any], model: ModelConfig) -> Contract:
        """The contract, or EvidenceError that compares what is served with what the run file says."""
        inputs, outputs = metadata.get("inputs", []), metadata.get("outputs", [])
        served = [f"{t['name']} {t['datatype']} {_shape(t)}" for t in (*inputs, *outputs)]
        height, width = model.input_size
        wanted_in, wanted_out = (3, height, width), expected_shape(model.head, len(model.names))
        fits = (
            len(inputs) == len(outputs) == 1
            and inputs[0]["datatype"] == outputs[0]["datatype"] == "FP32"
            and len(_shape(inputs[0])) == 4
            and all(s in (-1, w) for s, w in zip(_shape(inputs[0])[1:], wanted_in, strict=True))
            and len(_shape(outputs[0])) == 3
            and _output_fits(_shape(outputs[0])[1:], model)
        )
        if not fits:
            rows, columns = ("any" if size < 0 else size for size in wanted_out)
            raise EvidenceError(
                f"the model {self.model!r} has the tensors {'; '.join(served)}",
                where=self.url,
                expected=f"one FP32 input (batch, {', '.join(map(str, wanted_in))}) and one FP32 output "
                f"(batch, {rows}, {columns}) for head {model.head!r} with {len(model.names)} classes",
                remedy="mend head, input_size or names in the run file, or export the model with that head",
            )
        return Contract(input=inputs[0]["name"], output=outputs[0]["name"])

    def _remember(self, server: dict[str, Any], metadata: dict[str, Any], config: dict[str, Any]) -> None:
        text = json.dumps(config, sort_keys=True).encode()
        self.facts = {
            "server": f"{server.get('name')} {server.get('version')}",
            "model": self.model,
            "model_versions": metadata.get("versions", []),
            "platform": metadata.get("platform", ""),
            "backend": config.get("backend", ""),
            "tensorrt": TENSORRT_PLATFORM in (metadata.get("platform"), config.get("platform"))
            or config.get("backend") == "tensorrt",
            "device": sorted({str(g.get("kind", "KIND_AUTO")) for g in config.get("instance_group", [])}),
            "max_batch_size": config.get("max_batch_size", 0),
            "served_config_sha256": hashlib.sha256(text).hexdigest(),
        }


def _shape(tensor: dict[str, Any]) -> tuple[int, ...]:
    return tuple(int(size) for size in tensor.get("shape", []))


def _output_fits(shape: tuple[int, ...], model: ModelConfig) -> bool:
    """Served shapes may leave sizes open (-1); those that are given must be the head's."""
    wanted = expected_shape(model.head, len(model.names))
    filled = tuple(w if s < 0 and w >= 0 else s for s, w in zip(shape, wanted, strict=True))
    return shape_fits(filled, model.head, len(model.names))


def _reason(error: Exception) -> str:
    status = getattr(error, "status", lambda: None)()
    message = getattr(error, "message", lambda: str(error))()
    return f"{status}: {message}" if status else str(message)
