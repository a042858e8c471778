"""A plan in process, for TensorRT and TensorRT-RTX, whose runtimes have the same Python API.

Device memory is torch's: it is there wherever the reference runs, and needs no other CUDA binding.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import Self

from parity.errors import EvidenceError, RunnerError, first_line, join_problems
from parity.provenance import sha256_of_file
from parity.repository.build import default_repository
from parity.repository.manifest import MANIFEST_NAME, PLAN_NAMES, BuildManifest, Runtime, read_manifest
from parity.repository.precision import Signature, TensorSpec
from parity.runners.base import RunnerContext, RunnerSettings
from parity.runners.network import NetworkRunner, check_signature

TYPES = {"FLOAT": "FP32", "HALF": "FP16", "INT32": "INT32", "INT64": "INT64", "INT8": "INT8", "BOOL": "BOOL"}
"""Triton's names of TensorRT's types."""


class EngineSettings(RunnerSettings):
    """Settings of the runners `tensorrt` and `tensorrt-rtx`."""

    plan: Path | None = Field(
        None, description="The plan; none: the newest version where `parity repository build` puts it."
    )


class EngineRunner(NetworkRunner):
    """Runs a plan image by image on the GPU. Subclasses name the module and what it is called."""

    Settings: ClassVar[type[RunnerSettings]] = EngineSettings
    runtime: ClassVar[Runtime]
    module: ClassVar[str]

    def __init__(self, context: RunnerContext, settings: EngineSettings) -> None:
        super().__init__(context)
        self.settings = settings
        self.engine: Engine | None = None
        self.facts: dict[str, Any] = {}

    def __enter__(self) -> Self:
        plan = self.settings.plan or self._newest()
        digest = sha256_of_file(plan)
        self.facts = {"engine_sha256": digest, **self._manifest_facts(plan, digest)}
        with self.context.progress.step(f"{self.context.name}: loading {self.runtime}", 2) as step:
            trt, torch = self._libraries()
            step.advance()
            self.engine = Engine(trt, torch, plan)
            step.advance()
        self.facts |= {"device": torch.cuda.get_device_name(0), "tensorrt_version": str(trt.__version__)}
        check_signature(self.context, self.engine.signature(self.context.model.input_size), str(plan))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.engine = None

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the engine. Raises RunnerError when it fails."""
        if self.engine is None:
            raise RunnerError("the runner was not entered", where=self.runtime)
        return self.engine.infer(batch)

    def _newest(self) -> Path:
        """The plan of the highest version in the repository of this runtime."""
        folder = default_repository(self.context.repository, self.runtime) / self.context.name
        found = [p for p in folder.glob(f"*/{PLAN_NAMES[self.runtime]}") if p.parent.name.isdecimal()]
        if not found:
            raise EvidenceError(
                "no engine",
                where=str(folder),
                expected=f"a version folder with {PLAN_NAMES[self.runtime]}",
                remedy="build it with `parity repository build`, or name it with `plan`",
            )
        return max(found, key=lambda path: int(path.parent.name))

    def _manifest_facts(self, plan: Path, digest: str) -> dict[str, Any]:
        """What the manifest beside the plan says, when it is this plan's and this model's."""
        path = plan.parent / MANIFEST_NAME
        try:
            manifest = read_manifest(path)
        except FileNotFoundError:
            return {"build": None, "precision": "unknown: no build.json lies beside the plan"}
        problems = self._problems(manifest, digest)
        if problems:
            raise EvidenceError(
                join_problems(problems),
                where=str(path),
                expected="the manifest of the plan beside it and of the run file's model",
                remedy="build the engine again",
            )
        kept = ("builder", "weights_sha256", "onnx_sha256", "tensorrt_version", "compute_capabilities")
        document = manifest.model_dump(mode="json")
        return {"build": {key: document[key] for key in kept}, "precision": manifest.precision}

    def _problems(self, manifest: BuildManifest, plan_sha256: str) -> list[str]:
        model = self.context.model
        pairs = (
            ("runtime", manifest.runtime, self.runtime),
            ("plan_sha256", manifest.plan_sha256, plan_sha256),
            ("weights_sha256", manifest.weights_sha256, sha256_of_file(model.weights)),
            ("family", manifest.family, model.family),
            ("head", manifest.head, model.head),
            ("input_size", manifest.input_size, model.input_size),
            ("names", manifest.names, model.names),
        )
        return [f"{key} is {found}, expected {wanted}" for key, found, wanted in pairs if found != wanted]

    def _libraries(self) -> tuple[Any, Any]:
        """The runtime's module and torch with a GPU. Raises RunnerError when one is missing."""
        try:
            trt = importlib.import_module(self.module)
            torch = importlib.import_module("torch")
        except ImportError as error:
            raise RunnerError(
                f"cannot be imported: {error}",
                where=f"runner {self.runtime}",
                remedy="install TensorRT, or 'triton-parity[tensorrt-rtx,torch]' for TensorRT-RTX",
            ) from error
        if not torch.cuda.is_available():
            raise RunnerError(
                "torch sees no CUDA device, and an engine runs on nothing else",
                where=f"runner {self.runtime}",
                remedy="run it where there is a GPU, or compare with runner = 'onnxruntime'",
            )
        return trt, torch

    def provenance(self) -> dict[str, Any]:
        """What ran."""
        return {
            "runner": self.runtime,
            "in_process": self.runtime,
            "backend": self.runtime,
            **self.facts,
        }


class Engine:
    """One deserialised plan with one execution context on device 0."""

    def __init__(self, trt: Any, torch: Any, plan: Path) -> None:
        self.trt, self.torch, self.plan = trt, torch, plan
        self.runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))  # the engine lives on it
        self.engine = self.runtime.deserialize_cuda_engine(plan.read_bytes())
        if self.engine is None:
            raise RunnerError(
                f"{trt.__name__} {trt.__version__} cannot load it",
                where=str(plan),
                expected="a plan of this version, for this GPU",
                remedy="build it again here; its own messages are above",
            )
        self.context = self.engine.create_execution_context()
        if self.context is None:
            raise RunnerError(
                "it loads, but gets no memory to run in",
                where=str(plan),
                expected="a GPU with room for the engine",
                remedy="end what else uses the GPU, or build with a smaller --profile",
            )
        names = [self.engine.get_tensor_name(i) for i in range(self.engine.num_io_tensors)]
        inputs = [name for name in names if self.engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
        self.inputs, self.outputs = inputs, [name for name in names if name not in inputs]
        self.stream = torch.cuda.Stream()

    def signature(self, input_size: tuple[int, int]) -> Signature:
        """What the engine takes and gives at this (height, width), without the batch.

        Raises EvidenceError when it does not take images of this size.
        """
        for name in self.inputs:
            wanted = (self._least(name), 3, *input_size)
            if not self.context.set_input_shape(name, wanted):
                least, most = (tuple(each) for each in self.engine.get_tensor_profile_shape(name, 0)[::2])
                raise EvidenceError(
                    f"its input {name!r} takes {least} to {most}",
                    where=str(self.plan),
                    expected=f"{wanted}, the run file's input_size",
                    remedy="mend input_size in the run file, or name another plan",
                )
        return Signature(
            inputs=tuple(self._spec(name) for name in self.inputs),
            outputs=tuple(self._spec(name) for name in self.outputs),
        )

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run a float32 batch; a profile that begins above its size gets the last image again."""
        source, target = self.inputs[0], self.outputs[0]
        missing = self._least(source) - len(batch)
        filled = np.concatenate([batch, *[batch[-1:]] * missing]) if missing > 0 else batch
        try:
            with self.torch.cuda.stream(self.stream):
                given = self.torch.from_numpy(np.ascontiguousarray(filled)).cuda()
                if not self.context.set_input_shape(source, tuple(given.shape)):
                    raise RunnerError(f"the profile does not take {tuple(given.shape)}", where=str(self.plan))
                shape = tuple(self.context.get_tensor_shape(target))
                answer = self.torch.empty(shape, dtype=self.torch.float32, device="cuda")
                self.context.set_tensor_address(source, given.data_ptr())
                self.context.set_tensor_address(target, answer.data_ptr())
                if not self.context.execute_async_v3(self.stream.cuda_stream):
                    raise RunnerError("the engine failed", where=str(self.plan))
                self.stream.synchronize()
                output = answer.cpu().numpy()
        except RuntimeError as error:  # torch's, such as out of memory
            raise RunnerError(f"the engine failed ({first_line(error)})", where=str(self.plan)) from error
        return np.asarray(output[: len(batch)], np.float32)

    def _least(self, name: str) -> int:
        """The smallest batch of the first profile."""
        return int(next(iter(self.engine.get_tensor_profile_shape(name, 0)[0])))

    def _spec(self, name: str) -> TensorSpec:
        kind = str(self.engine.get_tensor_dtype(name)).rpartition(".")[2]
        dims = tuple(int(size) for size in self.context.get_tensor_shape(name))[1:]
        return TensorSpec(name=name, datatype=TYPES.get(kind, kind), dims=dims)
