"""Served tensors held to the run file; metadata may be anything."""

from __future__ import annotations

from typing import Any

import pytest

from parity.errors import EvidenceError
from parity.runners.triton_contract import contract_of
from tests.triton_models import ROWS, SIDE, model_config


def tensor(name: str, *shape: Any, datatype: str = "FP32") -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": list(shape)}


IMAGES = tensor("images", -1, 3, SIDE, SIDE)
OUTPUT = tensor("output0", -1, ROWS, 6)


@pytest.mark.parametrize(
    ("image", "output", "shape"),
    [
        (IMAGES, OUTPUT, (ROWS, 6)),
        (tensor("images", "-1", "3", "64", "64"), tensor("output0", "-1", "300", "6"), (ROWS, 6)),
        (tensor("images", -1, 3, -1, -1), tensor("output0", -1, -1, 6), (-1, 6)),
    ],
)
def test_what_fits(image: dict[str, Any], output: dict[str, Any], shape: tuple[int, ...]) -> None:
    found = contract_of({"inputs": [image], "outputs": [output]}, model_config(), "m", "gpu:8001")
    assert (found.input, found.output, found.output_shape) == ("images", "output0", shape)


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"inputs": [{}], "outputs": [{}]},
        {"inputs": [IMAGES, IMAGES], "outputs": [OUTPUT]},
        {"inputs": [IMAGES], "outputs": []},
        {"inputs": [tensor("images", -1, 3, 32, 32)], "outputs": [OUTPUT]},
        {"inputs": [tensor("images", 3, SIDE, SIDE)], "outputs": [OUTPUT]},
        {"inputs": [tensor("images", -1, 3, SIDE, SIDE, datatype="UINT8")], "outputs": [OUTPUT]},
        {"inputs": [tensor("images", -1, 3, SIDE, SIDE, datatype="FP16")], "outputs": [OUTPUT]},
        {"inputs": [IMAGES], "outputs": [tensor("output0", -1, ROWS, 7)]},
        {"inputs": [IMAGES], "outputs": [tensor("output0", -1, ROWS)]},
    ],
)
def test_what_does_not(metadata: dict[str, Any]) -> None:
    with pytest.raises(EvidenceError) as caught:
        contract_of(metadata, model_config(), "m", "gpu:8001")
    said = str(caught.value)
    assert "gpu:8001" in said and "'m'" in said and "to do:" in said
