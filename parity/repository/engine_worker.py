"""The process that builds an engine: `python -m parity.repository.engine_worker request.json`.

TensorRT ends the whole process on some failures, prints on both streams and takes minutes in which Python
cannot be interrupted; here all of that hits a process that can be spared.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from parity.errors import EvidenceError, RunnerError, UsageError, join_problems
from parity.repository import trt_api

UNITS = 100
"""Into which a build is divided for whoever watches."""

MOST_SHOWN = 10


def _work(request: dict[str, Any], done: Callable[[], None]) -> dict[str, Any]:
    trt = importlib.import_module(request["module"])
    if request["module"] == "tensorrt" and int(trt.__version__.split(".")[0]) < trt_api.OLDEST:
        raise RunnerError(f"TensorRT {trt.__version__}", expected=f"TensorRT {trt_api.OLDEST} or newer")
    log, said = _logger(trt)
    builder = trt.Builder(log)
    network = builder.create_network(trt_api.network_flags(trt))
    _parse(trt, network, log, request)
    config = builder.create_builder_config()
    trt_api.limit_workspace(trt, config, request["workspace_mib"])
    trt_api.set_capabilities(trt, config, request["capabilities"])
    _add_profile(builder, config, request, said)
    told = 0

    def tell(fraction: float) -> None:
        nonlocal told
        while told < int(fraction * UNITS):
            told += 1
            done()

    watcher = trt_api.monitor(trt, tell)
    if watcher is not None:
        config.progress_monitor = watcher
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise RunnerError(
            f"it builds no engine: {join_problems(said[:MOST_SHOWN] or ['it gives no reason'])}",
            where=f"{request['module']} {trt.__version__}",
            expected="a serialised engine",
        )
    tell(1.0)
    Path(request["plan"]).write_bytes(bytes(plan))
    return {"version": str(trt.__version__)}


def _logger(trt: Any) -> tuple[Any, list[str]]:
    """A logger, and the list in which it collects errors."""
    said: list[str] = []

    class Log(trt.ILogger):  # type: ignore[misc]  # the base is only known at run time
        """Keeps errors and prints warnings, which the caller shows when the process fails."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            """TensorRT says something."""
            if severity <= trt.ILogger.Severity.ERROR:
                said.extend([message] if trt_api.NO_DRIVER not in message else [])
            elif severity <= trt.ILogger.Severity.WARNING:
                sys.stderr.write(f"{message}\n")

    return Log(), said


def _parse(trt: Any, network: Any, log: Any, request: dict[str, Any]) -> None:
    """Read the graph, and make sure that its ends are what the embedded server and Triton are promised."""
    parser = trt.OnnxParser(network, log)
    if not parser.parse_from_file(request["onnx"]):
        problems = trt_api.parser_errors(parser) or ["it gives no reason"]
        raise EvidenceError(
            f"the parser refuses the graph: {join_problems(problems[:MOST_SHOWN])}",
            where=f"{request['module']} {trt.__version__}",
            expected="a graph that TensorRT's ONNX parser takes",
            remedy="choose another --converter, or export the network again",
        )
    found = trt_api.tensors(network)
    wrong = [f"{name} is {kind}" for name, kind, _ in found if kind != "FLOAT"]
    if wrong:
        raise EvidenceError(
            ", ".join(wrong),
            where=f"{request['module']} {trt.__version__}",
            expected="FP32 inputs and outputs",
        )


def _add_profile(builder: Any, config: Any, request: dict[str, Any], said: list[str]) -> None:
    profile = builder.create_optimization_profile()
    smallest, usual, largest = (tuple(shape) for shape in request["shapes"])
    profile.set_shape(request["input"], smallest, usual, largest)
    if config.add_optimization_profile(profile) < 0:
        raise UsageError(
            f"the profile is refused: {join_problems(said[:1] or ['no reason given'])}",
            where="--profile",
            expected=f"min <= opt <= max, found {smallest[0]}, {usual[0]}, {largest[0]}",
        )


if __name__ == "__main__":
    from parity.repository.workers import serve

    sys.exit(serve(sys.argv[1], _work))
