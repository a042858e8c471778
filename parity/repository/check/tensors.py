"""Tensors as the configuration declares them, and as manifest and graph of a version state them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from parity.repository.check.subject import Subject, Version
from parity.repository.messages import enum_name

Dims = tuple[int, ...]

LENGTHS = {"input": 3, "output": 2}
"""How many dims an image and a detector's answer have, the batch left out."""


@dataclass(frozen=True, kw_only=True)
class Declared:
    """A tensor as the configuration has it. dims: what the engine sees, so after a reshape.

    repeats: whether the dims begin with the batch, which max_batch_size already stands for.
    """

    place: str
    name: str
    datatype: str
    dims: Dims
    repeats: bool

    @property
    def of_one(self) -> Dims:
        """The dims without the batch."""
        return self.dims[1:] if self.repeats else self.dims


@dataclass(frozen=True, kw_only=True)
class Stated:
    """A tensor of the engine, as `by` tells of it. dims: without the batch, None when they are not told."""

    name: str
    datatype: str
    dims: Dims | None


def declared(subject: Subject, kind: str) -> list[Declared]:
    """The configuration's tensors. kind: "input" or "output"."""
    batched: bool = subject.config is not None and subject.config.max_batch_size > 0
    tensors: Any = getattr(subject.config, kind)
    found = []
    for i, tensor in enumerate(tensors):
        dims = tuple(tensor.reshape.shape if tensor.HasField("reshape") else tensor.dims)
        found.append(
            Declared(
                place=f"{kind}[{i}]",
                name=tensor.name,
                datatype=enum_name(tensor, "data_type").removeprefix("TYPE_"),
                dims=dims,
                repeats=batched and len(dims) == LENGTHS[kind] + 1,
            )
        )
    return found


def stated(version: Version, kind: str) -> Iterator[tuple[str, list[Stated]]]:
    """Who tells of the engine's tensors, and what: the manifest and the graph, as far as they are there."""
    if version.manifest is not None:
        tensors = getattr(version.manifest, f"{kind}s")
        yield "build.json", [Stated(name=t.name, datatype=t.datatype, dims=t.dims) for t in tensors]
    if version.graph is not None:
        tensors = getattr(version.graph, f"{kind}s")
        yield (
            "the graph",
            [
                Stated(name=t.name, datatype=t.datatype, dims=None if t.dims is None else t.dims[1:])
                for t in tensors
            ],
        )


def fit(one: Dims, other: Dims) -> bool:
    """Whether two shapes can be the same, where -1 is any size."""
    return len(one) == len(other) and all(a == b or -1 in (a, b) for a, b in zip(one, other, strict=True))
