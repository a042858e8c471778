"""What is checked: one model's folder as it was read, and what it is held to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parity.config import Head, ModelConfig, Resize
from parity.repository.check.digests import Digests
from parity.repository.check.files import is_file
from parity.repository.check.graph_facts import GraphFacts
from parity.repository.check.links import Reach
from parity.repository.check.places import Places
from parity.repository.check.plan_header import PlanHeader
from parity.repository.config_pbtxt import CONFIG_NAME
from parity.repository.manifest import MANIFEST_NAME, ONNX_NAME, PLAN_NAMES, BuildManifest


@dataclass(frozen=True, kw_only=True)
class Target:
    """The server that the plans are meant for; None is not compared."""

    tensorrt: str | None = None
    compute_capability: str | None = None


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version folder.

    header: of its plan, None when that is missing or no plan. graph: None when missing or unreadable.
    """

    path: Path
    plan: Path
    has_plan: bool
    header: PlanHeader | None
    manifest: BuildManifest | None
    has_manifest: bool
    graph: GraphFacts | None
    has_graph: bool

    @property
    def described(self) -> Path:
        """The manifest's file; plans of TensorRT-RTX have a name that Triton does not look for."""
        other = None if self.manifest is None else self.path / PLAN_NAMES[self.manifest.runtime]
        return other if other is not None and is_file(other) else self.plan


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One model. config: the parsed message, None when there is none. model: what the run file says of it.

    closed: version folders of which nothing was read: they lead out of the repository or cannot be entered.
    categories: class names of the run file's data set by category id, None when they are not known.
    """

    repository: Path
    folder: Path
    config: Any | None
    places: Places
    versions: tuple[Version, ...]
    closed: tuple[Path, ...]
    model: ModelConfig | None
    categories: tuple[str, ...] | None
    target: Target
    reach: Reach
    digests: Digests

    @property
    def name(self) -> str:
        """The folder's, which Triton takes for the model's."""
        return self.folder.name

    @property
    def config_file(self) -> str:
        """The configuration as findings name it."""
        return self.shown(self.folder / CONFIG_NAME)

    def shown(self, path: Path) -> str:
        """A path as findings name it, relative to the repository."""
        return path.relative_to(self.repository).as_posix()

    def manifest_file(self, version: Version) -> str:
        """A version's manifest as findings name it."""
        return self.shown(version.path / MANIFEST_NAME)

    def graph_file(self, version: Version) -> str:
        """A version's graph as findings name it."""
        return self.shown(version.path / ONNX_NAME)

    def parameter(self, key: str) -> str | None:
        """A parameter's text, None when it is not set."""
        if self.config is None or key not in self.config.parameters:
            return None
        return str(self.config.parameters[key].string_value)

    @property
    def loaded(self) -> tuple[Version, ...]:
        """The versions that Triton would load by the version policy: without one, the highest."""
        if self.config is None:
            return self.versions[-1:]
        policy = self.config.version_policy
        kind = policy.WhichOneof("policy_choice") or "latest"
        if kind == "specific":
            wanted = {str(number) for number in policy.specific.versions}
            return tuple(version for version in self.versions if version.path.name in wanted)
        # `latest { }` means the newest none, by which nothing would be compared.
        return self.versions if kind == "all" else self.versions[-max(1, policy.latest.num_versions) :]

    @property
    def source(self) -> tuple[str, ModelConfig | BuildManifest] | None:
        """What the model is held to, and its name: the run file, or else the newest manifest."""
        if self.model is not None:
            return "the run file", self.model
        for version in reversed(self.versions):
            if version.manifest is not None:
                return self.manifest_file(version), version.manifest
        return None

    @property
    def head(self) -> Head | None:
        """By which rule clients decode: the source's, or else the parameter's."""
        if self.source is not None:
            return self.source[1].head
        heads: tuple[Head, ...] = ("nms-free", "one-to-many", "rtdetr")
        return next((head for head in heads if head == self.parameter("head")), None)

    @property
    def resize(self) -> Resize | None:
        """How clients resize images."""
        return None if self.source is None else self.source[1].resize

    @property
    def names(self) -> tuple[str, ...]:
        """Class names by index: the source's, or else the parameter's; () when nothing says them."""
        if self.source is not None:
            return self.source[1].names
        text = self.parameter("names")
        return tuple(text.split(",")) if text else ()
