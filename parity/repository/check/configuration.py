"""What config.pbtxt says of serving: name, platform, instances, batching, warm-up, cache."""

from __future__ import annotations

from typing import Any

from parity.repository.check.findings import Notes
from parity.repository.check.subject import Subject
from parity.repository.messages import enum_name

PLATFORM = "tensorrt_plan"
BACKEND = "tensorrt"


def check(subject: Subject, notes: Notes) -> None:
    """Note everything that is wrong with how the model is to be served."""
    config = subject.config
    if config is None:
        return
    _check_identity(subject, config, notes)
    _check_instances(subject, config, notes)
    _check_batch_size(subject, config, notes)
    _check_batching(subject, config, notes)
    _check_warm_up(subject, config, notes)
    if config.response_cache.enable:
        notes.add(
            "RESPONSE_CACHE",
            subject.config_file,
            "response_cache is enabled",
            line=subject.places.line("response_cache.enable"),
            expected="no cache while anything is measured",
            fix="take it out; a cached answer tells nothing about the engine or its speed",
        )


def _check_identity(subject: Subject, config: Any, notes: Notes) -> None:
    if config.name not in ("", subject.name):
        notes.add(
            "NAME_MISMATCH",
            subject.config_file,
            f"name {config.name!r}",
            line=subject.places.line("name"),
            expected=f"{subject.name!r}, the folder's",
            fix="correct the name, or rename the folder",
        )
    named = config.platform or config.backend
    if not named or config.platform not in ("", PLATFORM) or config.backend not in ("", BACKEND):
        field = "backend" if config.backend not in ("", BACKEND) else "platform"
        notes.add(
            "NOT_TENSORRT",
            subject.config_file,
            f"{field} {getattr(config, field)!r}",
            line=subject.places.line(field),
            expected=f'platform: "{PLATFORM}"',
            fix="correct it, or check only the TensorRT models with --model",
        )


def _check_instances(subject: Subject, config: Any, notes: Notes) -> None:
    for i, group in enumerate(config.instance_group):
        kind = enum_name(group, "kind")
        if kind not in ("KIND_GPU", "KIND_AUTO"):
            notes.add(
                "INSTANCE_KIND",
                subject.config_file,
                kind,
                line=subject.places.line(f"instance_group[{i}].kind"),
                expected="KIND_GPU: a plan runs nowhere else",
                fix="write kind: KIND_GPU",
            )


def _check_batch_size(subject: Subject, config: Any, notes: Notes) -> None:
    most, line = config.max_batch_size, subject.places.line("max_batch_size")
    if most < 1:
        notes.add(
            "BATCH_CONFIG",
            subject.config_file,
            f"max_batch_size {most}",
            line=line,
            expected="at least 1, with dims that leave the batch out",
            fix="write the largest batch of the engine's profile",
        )
        return
    for version in subject.versions:
        if version.manifest is None:
            continue
        profile, by = version.manifest.profile, f"the profile of {subject.manifest_file(version)}"
        if most > profile.max or profile.min > 1:
            notes.add(
                "BATCH_CONFIG",
                subject.config_file,
                f"max_batch_size {most}",
                line=line,
                expected=f"within {profile.min} to {profile.max}, {by}"
                + ("; it has to begin at 1" if profile.min > 1 else ""),
                fix="build the engine with this batch, or write the profile's",
            )
        elif most < profile.max:
            notes.add(
                "BATCH_UNUSED",
                subject.config_file,
                f"max_batch_size {most}",
                line=line,
                expected=f"{profile.max}, the most of {by}",
                fix="allow the larger batch, or build a smaller engine",
            )


def _check_batching(subject: Subject, config: Any, notes: Notes) -> None:
    if config.WhichOneof("scheduling_choice") != "dynamic_batching":
        notes.add(
            "NO_BATCHING",
            subject.config_file,
            config.WhichOneof("scheduling_choice") or "no dynamic_batching",
            line=subject.places.line(config.WhichOneof("scheduling_choice") or ""),
            expected="dynamic_batching with preferred sizes and a queue delay",
            fix="add dynamic_batching { preferred_batch_size: [ 4, 8 ] }, or what was measured",
        )
    sizes, most = list(config.dynamic_batching.preferred_batch_size), config.max_batch_size
    wrong = [size for size in sizes if not 1 <= size <= most]
    if wrong and most >= 1:  # a wrong max_batch_size has a finding of its own
        notes.add(
            "BATCHING_PREFERRED",
            subject.config_file,
            f"preferred_batch_size {', '.join(map(str, wrong[:10]))}",
            line=subject.places.line("dynamic_batching.preferred_batch_size"),
            expected=f"1 to {most}, the max_batch_size",
            fix="prefer sizes that the model takes; Triton refuses to load it like this",
        )


def _check_warm_up(subject: Subject, config: Any, notes: Notes) -> None:
    most, inputs = config.max_batch_size, {tensor.name: tensor for tensor in config.input}
    wanted = {1, most} if most >= 1 else {1}
    missing = wanted - {warmup.batch_size for warmup in config.model_warmup}
    if missing:
        notes.add(
            "COLD_START",
            subject.config_file,
            f"no warm-up at batch {' and '.join(map(str, sorted(missing)))}",
            line=subject.places.line("model_warmup"),
            expected="model_warmup at batch 1 and at max_batch_size",
            fix="add it, so that no client pays for the first execution of a shape",
        )
    for i, warmup in enumerate(config.model_warmup):
        place, problems = f"model_warmup[{i}]", []
        if warmup.batch_size > most >= 1:
            problems.append(f"batch {warmup.batch_size}")
        if set(warmup.inputs) != set(inputs):
            problems.append(f"inputs {', '.join(sorted(warmup.inputs)) or 'none'}")
        for name in sorted(set(warmup.inputs) & set(inputs)):
            given, declared = warmup.inputs[name], inputs[name]
            if given.data_type != declared.data_type:
                problems.append(f"another type for {name}")
            if len(given.dims) != len(declared.dims) or any(
                d not in (-1, g) for g, d in zip(given.dims, declared.dims, strict=True)
            ):
                problems.append(f"dims {list(given.dims)} for {name}")
        if problems:
            notes.add(
                "WARMUP_INVALID",
                subject.config_file,
                f"{warmup.name or 'a warm-up'}: {', '.join(problems)}",
                line=subject.places.line(place),
                expected=f"batches up to {max(most, 1)} of {_declared(config)}",
                fix="correct the warm-up; Triton refuses to load the model when it fails",
            )


def _declared(config: Any) -> str:
    """The configuration's inputs in words: `images, FP32 [3, 640, 640]`."""
    inputs = [
        f"{tensor.name}, {enum_name(tensor, 'data_type').removeprefix('TYPE_')} {list(tensor.dims)}"
        for tensor in config.input
    ]
    return "; ".join(inputs) or "no input, since none is declared"
