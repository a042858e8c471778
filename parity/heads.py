"""What each detection head gives for one image: the contract between a network and its decode rule. Pure."""

from __future__ import annotations

from parity.config import Head


def expected_shape(head: Head, classes: int) -> tuple[int, int]:
    """Output shape of one image that a head must have; -1 for what the network's size decides."""
    return (4 + classes, -1) if head == "one-to-many" else (-1, 6)


def shape_fits(shape: tuple[int, ...], head: Head, classes: int) -> bool:
    """Whether an output of one image can come from this head."""
    wanted = expected_shape(head, classes)
    return len(shape) == 2 and all(w in (-1, s) for s, w in zip(shape, wanted, strict=True))
