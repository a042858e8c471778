"""The runners by name: one file each, this explicit dict, and `module:Class` for a user's own."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from parity.config import RunnerConfig, settings_problems, validate
from parity.errors import UsageError, join_problems
from parity.runners.base import ImageResult, Runner, RunnerContext, RunnerSettings
from parity.runners.http_service import HttpServiceRunner
from parity.runners.onnxruntime import OnnxRuntimeRunner
from parity.runners.tensorrt import TensorRtRunner
from parity.runners.tensorrt_rtx import TensorRtRtxRunner
from parity.runners.triton import TritonRunner
from parity.runners.ultralytics import UltralyticsRunner

__all__ = [
    "RUNNERS",
    "SETTINGS",
    "ImageResult",
    "Runner",
    "RunnerContext",
    "RunnerSettings",
    "create",
    "kind_of",
]

RUNNERS: dict[str, type[Any]] = {
    "http-service": HttpServiceRunner,
    "onnxruntime": OnnxRuntimeRunner,
    "tensorrt": TensorRtRunner,
    "tensorrt-rtx": TensorRtRtxRunner,
    "triton": TritonRunner,
    "ultralytics": UltralyticsRunner,
}
SETTINGS: dict[str, type[RunnerSettings]] = {name: runner.Settings for name, runner in RUNNERS.items()}


def create(config: RunnerConfig, context: RunnerContext) -> Runner:
    """The runner that the run file names, not yet entered.

    Raises UsageError when a user's own runner cannot be imported or does not take its settings.
    """
    kind = kind_of(config.runner)
    problems = settings_problems(kind.Settings, config.settings, config.runner)
    if problems:
        raise UsageError(join_problems(problems), where="run file")
    runner: Runner = kind(context, validate(kind.Settings, config.settings))
    return runner


def kind_of(name: str) -> type[Any]:
    """The class that the run file names. Raises UsageError when a user's own cannot be imported."""
    return RUNNERS.get(name) or _own(name)


def _own(name: str) -> type[Any]:
    """Import `module:Class`; the folder in which parity was started counts as importable, as for pytest."""
    module, _, attribute = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        kind = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # importing runs the user's own code, which may fail in any way
        raise UsageError(
            f"the runner {name!r} cannot be imported: {type(error).__name__}: {error}",
            where="run file",
            expected="`module:Class`",
        ) from error
    missing = [
        part
        for part in ("Settings", "__enter__", "__exit__", "predict", "provenance")
        if not hasattr(kind, part)
    ]
    if missing:
        raise UsageError(
            f"the runner {name!r} has no {', '.join(missing)}",
            where="run file",
            expected="the members of parity.runners.Runner",
        )
    return kind  # type: ignore[no-any-return]
