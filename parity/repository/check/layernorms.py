"""Where a graph has a LayerNorm in single steps, and what it squares there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

MOST_CASTS = 4
"""In a row; a converter writes one or two."""


def layernorms(nodes: Sequence[Any]) -> Iterator[tuple[str, str]]:
    """Where x - ReduceMean(x) is squared and averaged: the averaging node and the tensor that is squared.

    Casts between the steps are passed over.
    """
    made_by = {output: node for node in nodes for output in node.output}

    def maker(tensor: str) -> Any | None:
        for _ in range(MOST_CASTS):
            node = made_by.get(tensor)
            if node is None or node.op_type != "Cast" or not node.input:
                return node
            tensor = node.input[0]
        return None

    for node in nodes:
        square = maker(node.input[0]) if node.op_type == "ReduceMean" and node.input else None
        if square is None or not _squares(square):
            continue
        centred = maker(square.input[0])
        if centred is None or centred.op_type != "Sub" or len(centred.input) != 2:
            continue
        mean = maker(centred.input[1])
        if mean is not None and mean.op_type == "ReduceMean":
            yield node.name or node.output[0], square.input[0]


def _squares(node: Any) -> bool:
    if node.op_type == "Mul":
        return len(node.input) == 2 and node.input[0] == node.input[1]
    return node.op_type == "Pow" and len(node.input) > 0
