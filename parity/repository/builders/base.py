"""What a builder is: something that makes an engine of a typed ONNX graph, or says how to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol

from parity.config import ModelConfig
from parity.progress import Progress
from parity.repository.manifest import BatchProfile, Runtime

TIMEOUT_S = 4 * 3600.0
"""A large network with many tactics to time takes long, but not for ever."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What the choice of a builder depends on.

    capabilities: compute capabilities named on the command line, such as "8.9". engine: a file that exists
    already.
    """

    capabilities: tuple[str, ...]
    engine: Path | None


@dataclass(frozen=True, kw_only=True)
class Job:
    """One engine to build.

    name: of the model. config: what the run file says of it. onnx: the graph, typed as it is meant to run.
    input_name: of its one tensor (batch, 3, height, width). workspace_mib: most scratch memory on the device,
    None for what there is. image: of the container. handover: folder that outlives the build. work: an empty
    folder that does not.
    """

    name: str
    config: ModelConfig
    onnx: Path
    input_name: str
    profile: BatchProfile
    workspace_mib: int | None
    wish: Wish
    image: str
    handover: Path
    work: Path

    def shape(self, batch: int) -> tuple[int, int, int, int]:
        """The input's shape at a batch size."""
        return (batch, 3, *self.config.input_size)


@dataclass(frozen=True, kw_only=True)
class Built:
    """An engine, and what is known of how it came about.

    plan: a raw plan in the job's work folder. profile, precision: where the file itself tells them, and None
    where they are the job's. seconds: of the engine's build alone. command: that made it.
    """

    plan: Path
    tensorrt_version: str
    capabilities: tuple[str, ...]
    seconds: float
    command: str
    gpu: str | None = None
    driver: str | None = None
    profile: BatchProfile | None = None
    precision: str | None = None
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ToDo:
    """Nothing was built: what somebody else has to run, ready to paste. commands: one after the other.

    passed_over: why each builder that would have come first cannot build here, by its name.
    """

    commands: tuple[str, ...]
    passed_over: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A builder's name, and why those before it were passed over, by their names."""

    name: str
    passed_over: Mapping[str, str]


class Builder(Protocol):
    """A way to an engine. runtime: which library loads what it makes."""

    runtime: ClassVar[Runtime]

    def missing(self, wish: Wish) -> str:
        """Why it cannot build what is wished for here, as a clause; empty when it can."""
        ...

    def build(self, job: Job, progress: Progress) -> Built | ToDo:
        """Build the engine. Raises EvidenceError for a graph that is refused, RunnerError when it fails."""
        ...
