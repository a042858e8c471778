"""Do the weights have the classes that the run file names?"""

from __future__ import annotations

from parity.config import ModelConfig
from parity.errors import EvidenceError


def check_names(model: ModelConfig, found: tuple[str, ...], where: str = "") -> None:
    """Raise EvidenceError unless the weights' classes are the run file's, in the same order.

    found: class names of the weights, by class index. where: the file that has them, the weights by default.
    """
    expected = model.names
    if found == expected:
        return
    if len(found) != len(expected):
        told = f"the weights have {len(found)} classes, the run file names {len(expected)}"
    else:
        first = next(i for i in range(len(found)) if found[i] != expected[i])
        order = ", the same in another order" if set(found) == set(expected) else ""
        told = (
            f"the weights have the classes otherwise{order}: class {first} is {found[first]!r}, "
            f"the run file says {expected[first]!r}"
        )
    raise EvidenceError(
        told,
        where=where or str(model.weights),
        expected="the run file's `names` in the order of class index",
        remedy="set `names` of the model in the run file to the classes that it was trained for",
    )
