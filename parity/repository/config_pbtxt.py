"""Triton's `config.pbtxt`: read with Triton's own protobuf, and turned into the rehearsal's form."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from parity.errors import EvidenceError, UsageError, join_problems
from parity.repository import messages

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parity.repository.precision import Signature, TensorSpec

CONFIG_NAME = "config.pbtxt"
THREADS_PARAMETER = "intra_op_threads"
DEFAULT_MAX_BATCH = 8
DEFAULT_PREFERRED = (4, 8)
DEFAULT_QUEUE_DELAY_US = 2000


@dataclass(frozen=True, kw_only=True)
class EmbeddedConfig:
    """The configuration of a model in the embedded Triton.

    text: of config.pbtxt. files: further files of the model's folder by relative name, such as labels.
    notes: what differs from production besides backend and instances, one sentence each. production_sha256:
    of the production config.pbtxt, "" when there was none. outputs: dims without the batch, by name.
    """

    name: str
    text: str
    max_batch_size: int
    outputs: Mapping[str, tuple[int, ...]]
    notes: tuple[str, ...] = ()
    production_sha256: str = ""
    files: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def parse(text: str, where: str) -> Any:
    """The `inference.ModelConfig` message that the text describes.

    where: the file that errors name. Raises UsageError with line and column for text that is no such
    message, RunnerError when tritonclient is not installed.
    """
    message = messages.model_config()()
    from google.protobuf import text_format

    try:
        text_format.Parse(text, message)
    except text_format.ParseError as error:
        reason = str(error).split(" : ", 1)[-1]
        raise UsageError(
            reason,
            where=f"{where}:{error.GetLine() or 1}:{error.GetColumn() or 1}",
            expected="a Triton model configuration in protobuf text form",
        ) from error
    return message


def read(folder: Path) -> Any:
    """Read `<folder>/config.pbtxt` and check what every use of it takes for granted.

    The name is the folder's, or empty, which Triton takes as the same. Raises UsageError.
    """
    path = folder / CONFIG_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise UsageError(f"cannot be read: {reason}", where=str(path)) from error
    config = parse(text, str(path))
    problems = []
    if config.name not in ("", folder.name):
        problems.append(f"name is {config.name!r}, but Triton wants that of the folder, {folder.name!r}")
    if not config.input or not config.output:
        problems.append("it names no input or no output")
    if config.max_batch_size < 1:
        problems.append(
            f"max_batch_size is {config.max_batch_size}; detectors are served in batches of at least 1"
        )
    if config.WhichOneof("scheduling_choice") not in (None, "dynamic_batching"):
        problems.append(f"{config.WhichOneof('scheduling_choice')} is not a plain model's scheduling")
    if problems:
        raise UsageError(join_problems(problems), where=str(path))
    config.name = folder.name
    return config


def derive_embedded(
    repository: Path, name: str, signature: Signature, *, labels: tuple[str, ...] = (), threads: int = 0
) -> EmbeddedConfig:
    """The embedded configuration of a model, from production where that exists and else from the network.

    repository: the production model repository. name: of the model and its folder. signature: of the
    exported network. labels: class names, written as labels where production has no folder. threads: of
    ONNX Runtime within an operator, 0 lets it choose.

    Name, tensors, max_batch_size, dynamic batching and warm-up are production's; the backend is `python`
    on one CPU instance. Dimensions that differ are the network's, with a note. Raises EvidenceError when
    tensors have other names or types than the network's, UsageError for a broken production file.
    """
    folder = repository / name
    if not folder.is_dir():
        config, notes, digest = (
            _from_network(name, signature, bool(labels)),
            ["no production configuration"],
            "",
        )
        files = {"labels.txt": "".join(f"{label}\n" for label in labels)} if labels else {}
    else:
        config, notes = read(folder), []
        digest = hashlib.sha256((folder / CONFIG_NAME).read_bytes()).hexdigest()
        _check_tensors(config, signature, folder / CONFIG_NAME)
        _take_dims(config, signature, notes)
        files = _label_files(config, folder)
    _serve_on_cpu(config, notes, threads)
    from google.protobuf import text_format

    return EmbeddedConfig(
        name=name,
        text=text_format.MessageToString(config),
        max_batch_size=config.max_batch_size,
        outputs={output.name: tuple(output.dims) for output in config.output},
        notes=tuple(notes),
        production_sha256=digest,
        files=files,
    )


def _from_network(name: str, signature: Signature, has_labels: bool) -> Any:
    config = parse(f'name: "{name}"', name)
    config.max_batch_size = DEFAULT_MAX_BATCH
    for spec in signature.inputs:
        config.input.add(name=spec.name, data_type=_type_name(spec), dims=spec.dims)
    for spec in signature.outputs:
        output = config.output.add(name=spec.name, data_type=_type_name(spec), dims=spec.dims)
        if has_labels:
            output.label_filename = "labels.txt"
    config.dynamic_batching.preferred_batch_size.extend(DEFAULT_PREFERRED)
    config.dynamic_batching.max_queue_delay_microseconds = DEFAULT_QUEUE_DELAY_US
    return config


def _type_name(spec: TensorSpec) -> str:
    return f"TYPE_{spec.datatype}"


def _tensor_type(tensor: Any) -> str:
    return messages.enum_name(tensor, "data_type")


def _check_tensors(config: Any, signature: Signature, path: Path) -> None:
    problems = []
    for kind, declared, actual in (
        ("input", config.input, signature.inputs),
        ("output", config.output, signature.outputs),
    ):
        theirs = {tensor.name: _tensor_type(tensor) for tensor in declared}
        ours = {spec.name: _type_name(spec) for spec in actual}
        if set(theirs) != set(ours):
            problems.append(f"{kind}s are {sorted(theirs)}, the exported network has {sorted(ours)}")
            continue
        problems += [
            f"{kind} {key!r} is {theirs[key]}, the exported network has {ours[key]}"
            for key in sorted(ours)
            if theirs[key] != ours[key]
        ]
    if problems:
        raise EvidenceError(
            join_problems(problems),
            where=str(path),
            expected="the names and types of the network that is served",
            remedy="correct the configuration, or export the network that it describes",
        )


def _take_dims(config: Any, signature: Signature, notes: list[str]) -> None:
    """Put the network's dimensions where production's differ; -1 in production fits everything."""
    for tensors, specs in ((config.input, signature.inputs), (config.output, signature.outputs)):
        actual = {spec.name: spec.dims for spec in specs}
        for tensor in tensors:
            declared, dims = tuple(tensor.dims), actual[tensor.name]
            fits = len(declared) == len(dims) and all(
                a in (-1, b) for a, b in zip(declared, dims, strict=True)
            )
            if fits:
                continue
            notes.append(
                f"{tensor.name} is {list(dims)} in the exported network, {list(declared)} in production"
            )
            tensor.dims[:] = dims
            tensor.ClearField("reshape")
            for warmup in config.model_warmup:
                if tensor.name in warmup.inputs:
                    warmup.inputs[tensor.name].dims[:] = dims


def _label_files(config: Any, folder: Path) -> dict[str, str]:
    files = {}
    for output in config.output:
        name = output.label_filename
        if not name:
            continue
        path = (folder / name).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise UsageError(
                f"label_filename {name!r} leaves the model's folder", where=str(folder / CONFIG_NAME)
            )
        try:
            files[name] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"label_filename {name!r} cannot be read", where=str(folder / CONFIG_NAME)
            ) from error
    return files


def _serve_on_cpu(config: Any, notes: list[str], threads: int) -> None:
    """Replace backend and instances, and leave out what only an engine on a GPU can do."""
    config.backend = "python"
    for name in (
        "platform",
        "default_model_filename",
        "cc_model_filenames",
        "optimization",
        "instance_group",
    ):
        config.ClearField(name)
    config.instance_group.add(kind="KIND_CPU", count=1)
    if config.HasField("version_policy") and not config.version_policy.HasField("latest"):
        notes.append("production's version_policy names versions; the rehearsal serves its only one")
    config.ClearField("version_policy")
    if any(value.input_data_file for warmup in config.model_warmup for value in warmup.inputs.values()):
        notes.append("production's warm-up reads files; the rehearsal starts without")
        config.ClearField("model_warmup")
    if threads:
        config.parameters[THREADS_PARAMETER].string_value = str(threads)
