"""What a served model takes and gives, held to what the run file says of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from parity.config import ModelConfig
from parity.errors import EvidenceError
from parity.heads import expected_shape, shape_fits
from parity.visible import one_line


@dataclass(frozen=True, kw_only=True)
class Contract:
    """The one input and the one output: their names, and the shape of the output of one image.

    output_shape: -1 for a size that the server leaves open.
    """

    input: str
    output: str
    output_shape: tuple[int, ...]


def contract_of(metadata: dict[str, Any], model: ModelConfig, name: str, where: str) -> Contract:
    """The contract in a served model's metadata.

    Raises EvidenceError that compares what is served with what the run file says.
    """
    inputs, outputs = metadata.get("inputs", []), metadata.get("outputs", [])
    height, width = model.input_size
    wanted_in, wanted_out = (3, height, width), expected_shape(model.head, len(model.names))
    fits = (
        len(inputs) == len(outputs) == 1
        and inputs[0].get("datatype") == outputs[0].get("datatype") == "FP32"
        and len(_shape(inputs[0])) == 4
        and all(s in (-1, w) for s, w in zip(_shape(inputs[0])[1:], wanted_in, strict=True))
        and len(_shape(outputs[0])) == 3
        and _output_fits(_shape(outputs[0])[1:], model)
    )
    if not fits:
        served = [f"{t.get('name')} {t.get('datatype')} {_shape(t)}" for t in (*inputs, *outputs)]
        rows, columns = ("any" if size < 0 else size for size in wanted_out)
        raise EvidenceError(
            f"the model {name!r} has the tensors {one_line('; '.join(served)) or 'none'}",
            where=where,
            expected=f"one FP32 input (batch, {', '.join(map(str, wanted_in))}) and one FP32 output "
            f"(batch, {rows}, {columns}) for head {model.head!r} with {len(model.names)} classes",
            remedy="mend head, input_size or names in the run file, or export the model with that head",
        )
    return Contract(
        input=str(inputs[0].get("name")),
        output=str(outputs[0].get("name")),
        output_shape=_shape(outputs[0])[1:],
    )


def _shape(tensor: dict[str, Any]) -> tuple[int, ...]:
    return tuple(int(size) for size in tensor.get("shape", []))


def _output_fits(shape: tuple[int, ...], model: ModelConfig) -> bool:
    """Served shapes may leave sizes open (-1); those that are given must be the head's."""
    wanted = expected_shape(model.head, len(model.names))
    filled = tuple(w if s < 0 and w >= 0 else s for s, w in zip(shape, wanted, strict=True))
    return shape_fits(filled, model.head, len(model.names))
