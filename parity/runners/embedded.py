"""The candidate's own server: exports what the run file names and starts the embedded Triton with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.dataset import ImageProblem
from parity.repository.config_pbtxt import EmbeddedConfig, derive_embedded
from parity.repository.export import ExportedModel, export_onnx
from parity.repository.names import check_names
from parity.repository.precision import Precision
from parity.runners.base import RunnerContext
from parity.runners.preprocess import preprocess
from parity.serving.environment import prepare
from parity.serving.triton import EmbeddedTriton, ServedModel


class EmbeddedServer:
    """A running embedded Triton together with what went into it, by model."""

    def __init__(self, triton: EmbeddedTriton, facts: dict[str, dict[str, Any]]) -> None:
        self.triton = triton
        self.facts = facts

    @property
    def grpc_url(self) -> str:
        """`host:port` of its gRPC."""
        return self.triton.grpc_url

    @property
    def log_path(self) -> Path:
        """The server's own log."""
        return self.triton.log_path

    def alive(self) -> bool:
        """Whether the process still runs."""
        return self.triton.alive()

    def provenance(self, name: str) -> dict[str, Any]:
        """Server and packages, and of one model its network and configuration."""
        return {"server": self.triton.provenance(), **self.facts[name]}


@contextmanager
def start_embedded(
    contexts: Mapping[str, RunnerContext], precisions: Mapping[str, Precision], calibration_images: int
) -> Iterator[EmbeddedServer]:
    """One server with every model of `contexts`, by the name that it gets in the repository.

    Raises EvidenceError when weights do not fit the run file, RunnerError when the server does not start.
    """
    made = {
        name: prepare_model(name, context, precisions[name], calibration_images)
        for name, context in contexts.items()
    }
    context = next(iter(contexts.values()))
    environment = prepare(context.cache, context.progress)
    log = context.logs / "triton.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    served = [model for model, _ in made.values()]
    with EmbeddedTriton(served, environment, log, progress=context.progress) as triton:
        yield EmbeddedServer(triton, {name: facts for name, (_, facts) in made.items()})


def prepare_model(
    name: str, context: RunnerContext, precision: Precision, calibration_images: int
) -> tuple[ServedModel, dict[str, Any]]:
    """Export one model and derive its configuration: what is served as `name`, and the facts about it.

    Raises EvidenceError when the weights do not fit the run file.
    """
    exported = export_onnx(
        context.model,
        precision,
        context.cache,
        calibration(context, calibration_images) if precision == "int8" else (),
        context.progress,
    )
    check_names(context.model, exported.names)
    config = derive_embedded(context.repository, name, exported.signature, labels=context.model.names)
    served = ServedModel(name=name, onnx=exported.path, config=config.text, files=config.files)
    return served, _facts(exported, config)


def calibration(context: RunnerContext, count: int) -> Iterator[NDArray[np.float32]]:
    """Input tensors (1, 3, H, W) of readable images, spread evenly over the data set."""
    step = max(1, len(context.sample) // count)
    for image in context.sample[::step][:count]:
        try:
            pixels = context.reader.read(image)
        except ImageProblem:
            continue
        yield preprocess(pixels, context.model.input_size, context.model.resize)[0][None]


def _facts(exported: ExportedModel, config: EmbeddedConfig) -> dict[str, Any]:
    return {
        "network": exported.provenance(),
        "production_config_sha256": config.production_sha256 or None,
        "notes": list(config.notes),
    }
