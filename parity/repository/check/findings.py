"""What a check of the repository says: findings, each with a code that the table below explains."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Severity(str, Enum):
    """An error keeps the engine from loading or makes its answers wrong or unknown; the others do not."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True)
class Code:
    """A kind of finding. meaning: one sentence."""

    severity: Severity
    meaning: str


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong, or worth knowing.

    model: name of its folder, "" for the repository as a whole. file: relative to the repository, or as it
    was given when it lies elsewhere. line: in that file, from 1; None where a line means nothing. found,
    expected, fix: one clause each.
    """

    code: str
    severity: Severity
    model: str
    file: str
    line: int | None
    found: str
    expected: str
    fix: str


def _error(meaning: str) -> Code:
    return Code(Severity.ERROR, meaning)


def _warning(meaning: str) -> Code:
    return Code(Severity.WARNING, meaning)


def _info(meaning: str) -> Code:
    return Code(Severity.INFO, meaning)


CODES: dict[str, Code] = {
    # The folders.
    "NO_MODELS": _error("The repository has no model, so nothing was checked."),
    "MODEL_MISSING": _warning("A model of the run file has no folder in the repository."),
    "NOT_IN_RUN_FILE": _info("The run file has no such model; its head and classes rest on other sources."),
    "UNREADABLE": _error("A file that has to be checked cannot be read, or is larger than its limit."),
    "UNSAFE_PATH": _error("A name leads out of the model's folder, or a link out of the repository."),
    "NO_CONFIG": _error("The model's folder has no config.pbtxt."),
    "NO_VERSION": _error("The model has no version folder, so Triton has nothing to load."),
    "VERSION_NAME": _warning("A folder's name is no version number, and Triton passes over it."),
    "VERSION_POLICY": _error("The version policy names a version that has no folder."),
    "PLAN_NOT_BUILT": _error("A version folder has neither plan nor manifest: the engine is not built yet."),
    "PLAN_MISSING": _error("A manifest is there, or another plan is named, but not the plan itself."),
    # The plan's own bytes.
    "ENGINE_HEADER": _error("The file is an Ultralytics engine, with a JSON header before the plan."),
    "NOT_A_PLAN": _error("The file is no TensorRT plan."),
    "PLAN_TRUNCATED": _error("The plan ends before the size that its own header states."),
    "PLAN_OPAQUE": _info("The layout of the plan's header is not known; size and version are not read."),
    "PLAN_RUNTIME": _error("The plan is TensorRT-RTX's, which Triton's tensorrt_plan does not load."),
    # The manifest.
    "NO_MANIFEST": _error("A plan has no build.json beside it, so nothing shows what it is."),
    "MANIFEST_INVALID": _error("build.json is damaged or is no build manifest."),
    "MANIFEST_MODEL": _warning("build.json is of a model with another name."),
    "PLAN_DIGEST": _error("The plan is not the one that build.json describes."),
    "ONNX_DIGEST": _error("The graph beside the plan is not the one that build.json describes."),
    "WEIGHTS_DIGEST": _error("The plan was built from other weights than the run file's."),
    "WEIGHTS_UNKNOWN": _info("The run file's weights cannot be read; the plan's origin was not compared."),
    "ENGINE_MISMATCH": _error("The plan is of another TensorRT or for another GPU than it should be."),
    "NO_TARGET": _info("No target was named, so no plan was held to a TensorRT version or a GPU."),
    # The configuration.
    "CONFIG_PARSE": _error("config.pbtxt is no Triton model configuration."),
    "NAME_MISMATCH": _error("The configuration's name is not the folder's."),
    "NOT_TENSORRT": _error("The platform is not tensorrt_plan."),
    "INSTANCE_KIND": _error("An instance group is not on a GPU."),
    "BATCH_CONFIG": _error("max_batch_size does not fit the engine's profile, or the dims repeat the batch."),
    "BATCH_UNUSED": _info("The engine takes larger batches than the configuration allows."),
    "NO_BATCHING": _warning("Dynamic batching is off, so requests are not batched."),
    "BATCHING_PREFERRED": _error("A preferred batch size is over max_batch_size or under 1."),
    "COLD_START": _warning("No warm-up runs batch 1 and max_batch_size, so the first requests are slow."),
    "WARMUP_INVALID": _error("A warm-up asks for a batch or a tensor that the model does not take."),
    "RESPONSE_CACHE": _warning("The response cache is on; under load it hides what the engine answers."),
    "METADATA_MISSING": _warning(
        "A parameter that clients need is missing: head, input_size, resize or names."
    ),
    "METADATA": _error(
        "A parameter or the manifest contradicts the run file, or a parameter the manifest or the tensors."
    ),
    "LABELS": _error("The labels file is missing, or is not the list of the class names."),
    # The contract between the engine, its configuration and its client.
    "IO_NAME": _error("The configuration's tensors have other names than the engine's."),
    "IO_DTYPE": _error("A tensor has another type than the engine's."),
    "IO_SHAPE": _error("A tensor has another shape than the engine's or the run file's."),
    "HEAD_MISMATCH": _error("The output cannot be what the decode rule reads."),
    "RTDETR_CONTRACT": _error("RT-DETR's output has a score a class; the decode rule reads (queries, 6)."),
    "CLASS_MAP": _error("Class names differ in number or order between the model's sources."),
    # The graph that the plan was built from.
    "NO_GRAPH": _warning("The graph is not beside its plan, so it was not checked."),
    "GRAPH_UNREADABLE": _error("model.onnx is no ONNX model."),
    "EXTERNAL_DATA": _error("The graph keeps weights in a file that is missing or out of its folder."),
    "PRECISION_NOT_APPLIED": _error("The graph's weights are not of the precision that was asked for."),
    "PRECISION_BY_FLAG": _info("FP16 was a flag of the engine's builder, so its graph does not show it."),
    "LAYERNORM_FP16": _error("A LayerNorm in single steps runs in FP16, where its squares overflow."),
    "OPSET_OLD": _warning("An FP16 graph of an opset under 17 has no LayerNormalization."),
    "GRIDSAMPLE_MISCOMPILE": _info("The graph has GridSample, which TensorRT was seen to compile wrongly."),
    "INT64_IO": _warning("An input or output is INT64, which TensorRT before 10 does not have."),
    "INT64_RANGE": _warning("An INT64 constant does not fit 32 bits, and TensorRT before 10 clamps it."),
    "BATCH_FIXED": _error("The graph's batch dimension is fixed."),
    # What was measured.
    "EVIDENCE_DRIFT": _warning("What lies here is not what the last evidence was measured with."),
    "NO_EVIDENCE": _info("No evidence was found that tells a digest of this model."),
}
"""Every code there is. docs/repository-check.md has the same table, and a test holds it to this one."""


class Notes:
    """Collects the findings of one model, or of the repository as a whole."""

    def __init__(self, model: str = "") -> None:
        self.model = model
        self.findings: list[Finding] = []

    def has(self, code: str, file: str) -> bool:
        """Whether this was noted of this file."""
        return any(finding.code == code and finding.file == file for finding in self.findings)

    def add(
        self,
        code: str,
        file: str,
        found: str,
        *,
        expected: str,
        fix: str,
        line: int | None = None,
        severity: Severity | None = None,
    ) -> None:
        """Note one finding. severity: the code's own unless given."""
        self.findings.append(
            Finding(
                code=code,
                severity=severity or CODES[code].severity,
                model=self.model,
                file=file,
                line=line,
                found=found,
                expected=expected,
                fix=fix,
            )
        )
