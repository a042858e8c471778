"""`parity serve`: the embedded Triton with the run file's models, for people who want to look."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from parity.config import RunFile, validate
from parity.dataset import ImageRecord, OpenCvReader, load
from parity.errors import RunnerError, UsageError
from parity.progress import Progress
from parity.runners import RunnerContext
from parity.runners.embedded import EmbeddedServer, start_embedded
from parity.runners.triton import TritonSettings


def start(
    run_file: RunFile, models: tuple[str, ...], cache: Path, progress: Progress
) -> tuple[ExitStack, EmbeddedServer]:
    """Start the server; closing the stack stops it. Raises UsageError for candidates that have their own."""
    contexts: dict[str, RunnerContext] = {}
    settings: dict[str, TritonSettings] = {}
    config = run_file.datasets[run_file.dataset]
    for name in models:
        side = run_file.side(name, "candidate")
        if side.runner != "triton" or "url" in side.settings:
            raise UsageError(
                f"its candidate is {side.runner!r} with {sorted(side.settings)}",
                where=f"model {name!r}",
                expected="the runner 'triton' without `url`",
                remedy="serve needs models that parity starts a server for itself",
            )
        settings[name] = validate(TritonSettings, side.settings)
    needs_images = any(s.precision == "int8" for s in settings.values())
    sample: tuple[ImageRecord, ...] = load(run_file.dataset, config, progress).images if needs_images else ()
    with ExitStack() as stack:
        logs = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="parity-serve-")))
        for name in models:
            contexts[settings[name].model or name] = RunnerContext(
                name=name,
                model=run_file.models[name],
                reader=OpenCvReader(config),
                score_floor=run_file.score_floor,
                max_detections=run_file.max_detections,
                sample=sample,
                cache=cache,
                repository=run_file.model_repository,
                logs=logs,
                progress=progress,
            )
        precisions = {s.model or name: s.precision for name, s in settings.items()}
        most = max((s.calibration_images for s in settings.values()), default=1)
        server = stack.enter_context(start_embedded(contexts, precisions, most))
        return stack.pop_all(), server


def wait(server: EmbeddedServer) -> None:
    """Return when the process is interrupted; raise RunnerError when the server dies before that."""
    while server.alive():
        time.sleep(0.5)
    raise RunnerError(
        f"the server ended by itself; the end of its log:\n{server.triton.log_tail()}",
        where="embedded Triton",
    )
