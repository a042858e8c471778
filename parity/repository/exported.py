"""An exported network as the cache keeps it: `model.onnx`, and `export.json` that says what it is."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from parity.config import Head
from parity.errors import EvidenceError
from parity.provenance import sha256_of_file
from parity.repository.precision import Precision, Signature, TensorSpec


@dataclass(frozen=True, kw_only=True)
class ExportedModel:
    """An ONNX network in the cache.

    sha256: of the file at `path`. names: class names that the weights carry, by class index; the caller
    compares them with the run file's. calibration: how many images INT8 was calibrated on, and the digest
    of their tensors. converter: what made FP16 of it, else empty. versions: of the packages that made it.
    seconds: that making it took.
    """

    path: Path
    sha256: str
    weights_sha256: str
    family: str
    head: Head
    precision: Precision
    input_size: tuple[int, int]
    names: tuple[str, ...]
    signature: Signature
    opset: int
    calibration_images: int
    calibration_sha256: str
    converter: str
    versions: dict[str, str]
    seconds: float = field(compare=False)

    def provenance(self) -> dict[str, Any]:
        """What a report says about it; JSON values only, and no path."""
        document = {key: value for key, value in asdict(self).items() if key != "path"}
        return dict(json.loads(json.dumps(document)))


def read_entry(entry: Path, settings: dict[str, Any]) -> ExportedModel | None:
    """What the cache holds, or None when it is missing, damaged or of other settings."""
    try:
        document = json.loads((entry / "export.json").read_text(encoding="utf-8"))
        if any(document.get(key) != value for key, value in settings.items()):
            return None
        if sha256_of_file(entry / "model.onnx") != document["sha256"]:
            return None
        signature = document["signature"]
        height, width = document["input_size"]
        return ExportedModel(
            path=entry / "model.onnx",
            sha256=document["sha256"],
            weights_sha256=document["weights_sha256"],
            family=document["family"],
            head=document["head"],
            precision=document["precision"],
            input_size=(height, width),
            names=tuple(document["names"]),
            signature=Signature(
                inputs=tuple(_spec(row) for row in signature["inputs"]),
                outputs=tuple(_spec(row) for row in signature["outputs"]),
            ),
            opset=document["opset"],
            calibration_images=document["calibration_images"],
            calibration_sha256=document["calibration_sha256"],
            converter=document["converter"],
            versions=document["versions"],
            seconds=float(document["seconds"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EvidenceError):
        return None


def _spec(row: dict[str, Any]) -> TensorSpec:
    return TensorSpec(name=row["name"], datatype=row["datatype"], dims=tuple(row["dims"]))
