"""The builders by name: one file each, this explicit dict, and the choice of what is at hand."""

from __future__ import annotations

from parity.config import hint
from parity.errors import RunnerError, UsageError, join_problems
from parity.repository.builders.base import Builder, Built, Choice, Job, ToDo, Wish
from parity.repository.builders.container import Container
from parity.repository.builders.engine_file import EngineFile
from parity.repository.builders.tensorrt import TensorRt
from parity.repository.builders.tensorrt_rtx import TensorRtRtx
from parity.repository.builders.trtexec import Trtexec

__all__ = ["BUILDERS", "Builder", "Built", "Choice", "Job", "ToDo", "Wish", "choose"]

BUILDERS: dict[str, Builder] = {
    "engine-file": EngineFile(),
    "tensorrt": TensorRt(),
    "trtexec": Trtexec(),
    "tensorrt-rtx": TensorRtRtx(),
    "container": Container(),
}
"""In the order of choice: the first that misses nothing builds."""


def choose(wish: Wish, wanted: str | None) -> Choice:
    """The builder that is wanted, or the first that can build here what is wished for.

    Raises UsageError for an unknown name, RunnerError when it cannot build here, with the reason.
    """
    if wanted is not None and wanted not in BUILDERS:
        raise UsageError(f"no builder is called {wanted!r}{hint(wanted, list(BUILDERS))}", where="--builder")
    reasons: dict[str, str] = {}
    for name in BUILDERS if wanted is None else [wanted]:
        reason = BUILDERS[name].missing(wish)
        if not reason:
            return Choice(name=name, passed_over=reasons)
        reasons[name] = reason
    raise RunnerError(
        join_problems([f"{name}: {reason}" for name, reason in reasons.items()]),
        where="engine",
        expected="a builder that can build here",
        remedy="docs/engines.md says what each builder takes",
    )
