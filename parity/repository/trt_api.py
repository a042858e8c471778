"""What parity says to TensorRT's Python API, in the forms of 10.x, 11.x and TensorRT-RTX.

`trt` is always the imported module. The differences between the versions are small and are all here: since
10 the batch is explicit whatever one says, and 11 dropped that flag; since 11 every network is strongly
typed, and the flags for FP16 and INT8 are gone. So parity never asks for a precision: it asks for strong
typing, which 10 needs to be told and 11 ignores, and the graph's types are the engine's in each of them.
Source: NVIDIA's guide "Migrating Python Code from TensorRT 10.x to 11.x".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from parity.errors import UsageError

NO_DRIVER = "CUDA driver version is insufficient"
"""In messages that every call repeats where there is no GPU; they hide the one that matters."""

OLDEST = 10
"""Major version of TensorRT. 8 knows no strong typing for what parity builds."""


def network_flags(trt: Any) -> int:
    """The flags of `create_network`: strong typing wherever there is such a flag."""
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def limit_workspace(trt: Any, config: Any, mib: int | None) -> None:
    """Bound the scratch memory; `max_workspace_size` has been gone since 10."""
    if mib is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, mib << 20)


def known_capabilities(trt: Any) -> list[str]:
    """Compute capabilities that can be named to this library, such as "8.9", ascending."""
    names = [n[2:] for n in dir(trt.ComputeCapability) if n.startswith("SM") and n[2:].isdigit()]
    return [f"{name[:-1]}.{name[-1]}" for name in sorted(names, key=int)]


def set_capabilities(trt: Any, config: Any, wanted: Sequence[str]) -> None:
    """Build for these compute capabilities, none for the GPU at hand. Raises UsageError for unknown ones."""
    if not wanted:
        return
    known = known_capabilities(trt)
    unknown = [each for each in wanted if each not in known]
    if unknown:
        raise UsageError(
            f"{trt.__name__} {trt.__version__} does not build for {', '.join(unknown)}",
            where="--compute-capability",
            expected=f"of {', '.join(known)}",
        )
    config.num_compute_capabilities = len(wanted)
    for index, each in enumerate(wanted):
        config.set_compute_capability(getattr(trt.ComputeCapability, f"SM{each.replace('.', '')}"), index)


def parser_errors(parser: Any) -> list[str]:
    """What the ONNX parser holds against a graph, one line each, with the node."""
    lines = []
    for index in range(parser.num_errors):
        error = parser.get_error(index)
        node = f"{error.node_operator()} {error.node_name()!r}: " if error.node_name() else ""
        said = [line for line in error.desc().splitlines() if NO_DRIVER not in line]
        lines.append(node + "; ".join(said))
    return lines


def tensors(network: Any) -> list[tuple[str, str, tuple[int, ...]]]:
    """Name, TensorRT's name of the type, and shape of every input and then every output."""
    ends = [network.get_input(i) for i in range(network.num_inputs)]
    ends += [network.get_output(i) for i in range(network.num_outputs)]
    return [(end.name, str(end.dtype).rpartition(".")[2], tuple(end.shape)) for end in ends]


@dataclass
class _Phase:
    parent: str | None
    steps: int
    done: int = 0


class Fraction:
    """How far a build is, 0 to 1, from the nested phases that `IProgressMonitor` reports."""

    def __init__(self) -> None:
        self._phases: dict[str, _Phase] = {}
        self._reached = 0.0

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """A phase of `steps` steps begins, within `parent`."""
        self._phases[name] = _Phase(parent, max(1, steps))

    def complete(self, name: str, step: int) -> None:
        """The step with this index, from 0, is done."""
        if name in self._phases:
            self._phases[name].done = step + 1

    def finish(self, name: str) -> None:
        """The phase is over; the outermost one is the whole build."""
        phase = self._phases.pop(name, None)
        if phase is not None and phase.parent is None:
            self._reached = 1.0

    def value(self) -> float:
        """Never less than it was before."""
        roots = [name for name, phase in list(self._phases.items()) if phase.parent is None]
        self._reached = max([self._reached, *(self._of(name) for name in roots)])
        return self._reached

    def _of(self, name: str) -> float:
        phase = self._phases[name]
        inner = [self._of(child) for child, each in list(self._phases.items()) if each.parent == name]
        return min(1.0, (phase.done + max(inner, default=0.0)) / phase.steps)


def monitor(trt: Any, told: Callable[[float], None]) -> Any:
    """A progress monitor that tells how far the build is, 0 to 1; None where the library has none."""
    if not hasattr(trt, "IProgressMonitor"):
        return None

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]  # the base is only known at run time
        """Passes phases on to a Fraction."""

        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.fraction = Fraction()

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            """TensorRT begins a phase."""
            self.fraction.start(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            """TensorRT is done with a step; True lets it go on."""
            self.fraction.complete(phase_name, step)
            told(self.fraction.value())
            return True

        def phase_finish(self, phase_name: str) -> None:
            """TensorRT is done with a phase."""
            self.fraction.finish(phase_name)
            told(self.fraction.value())

    return Monitor()
