"""One model's folder in the embedded server's repository."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from parity.errors import RunnerError

BACKEND_MODEL = Path(__file__).resolve().parent / "onnx_backend_model.py"


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


def write_model(folder: Path, model: ServedModel) -> None:
    """One model of the embedded repository: configuration, version 1 with the network, the backend's code."""
    version = folder / "1"
    version.mkdir(parents=True)
    for name, text in {"config.pbtxt": model.config, **model.files}.items():
        (folder / name).write_text(text, encoding="utf-8")
    shutil.copyfile(BACKEND_MODEL, version / "model.py")
    try:
        shutil.copyfile(model.onnx, version / "model.onnx")
    except OSError as error:
        raise RunnerError(f"the network cannot be copied: {error.strerror}", where=str(model.onnx)) from error
