"""The embedded Triton with the run file's models: kept running for people to look at, or written down."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from pathlib import Path

from parity.config import RunFile, validate
from parity.dataset import ImageRecord, OpenCvReader, load
from parity.errors import RunnerError, UsageError
from parity.files import folder_whole
from parity.progress import Progress
from parity.repository.build import BUILDS
from parity.repository.precision import Precision
from parity.runners import RunnerContext
from parity.runners.embedded import EmbeddedServer, prepare_model, start_embedded
from parity.runners.triton import TritonSettings
from parity.serving.served_model import write_model


def start(
    run_file: RunFile, models: tuple[str, ...], cache: Path, progress: Progress
) -> tuple[ExitStack, EmbeddedServer]:
    """Start the server; closing the stack stops it. Raises UsageError for candidates that have their own."""
    settings: dict[str, TritonSettings] = {}
    for name in models:
        side = run_file.side(name, "candidate")
        if side.runner != "triton" or {"url", "http_url"} & side.settings.keys():
            raise UsageError(
                f"its candidate is {side.runner!r} with {sorted(side.settings)}",
                where=f"model {name!r}",
                expected="the runner 'triton' without `url` and `http_url`",
                remedy="serve needs models that parity starts a server for itself",
            )
        settings[name] = validate(TritonSettings, side.settings)
    precisions = {s.model or name: s.precision for name, s in settings.items()}
    with ExitStack() as stack:
        logs = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="parity-serve-")))
        renamed = {name: settings[name].model or name for name in models}
        contexts = _contexts(run_file, renamed, set(precisions.values()), cache, logs, progress)
        most = max((s.calibration_images for s in settings.values()), default=1)
        server = stack.enter_context(start_embedded(contexts, precisions, most))
        return stack.pop_all(), server


def write_repository(
    run_file: RunFile,
    models: tuple[str, ...],
    precision: Precision,
    out: Path | None,
    cache: Path,
    progress: Progress,
) -> Path:
    """Write the models as the embedded Triton serves them, each whole or not at all; the repository's folder.

    out: that folder, None for one beside the run file's model repository. Raises as `start_embedded` does.
    """
    folder = out or run_file.model_repository.parent / BUILDS / "embedded"
    if folder.resolve() == run_file.model_repository.resolve():
        raise UsageError(
            "the production repository", where="--out", expected="a folder of its own for the embedded one"
        )
    names = {name: name for name in models}
    contexts = _contexts(run_file, names, {precision}, cache, folder, progress)
    for name, context in contexts.items():
        served, _ = prepare_model(name, context, precision, TritonSettings().calibration_images)
        with folder_whole(folder / name) as part:
            write_model(part, served)
    return folder


def _contexts(
    run_file: RunFile,
    names: Mapping[str, str],
    precisions: Collection[Precision],
    cache: Path,
    logs: Path,
    progress: Progress,
) -> dict[str, RunnerContext]:
    """Contexts by name in the repository. names: that name by the run file's."""
    config = run_file.datasets[run_file.dataset]
    sample: tuple[ImageRecord, ...] = ()
    if "int8" in precisions:
        sample = load(run_file.dataset, config, progress).images
    return {
        renamed: RunnerContext(
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
        for name, renamed in names.items()
    }


def wait(server: EmbeddedServer) -> None:
    """Return when the process is interrupted; raise RunnerError when the server dies before that."""
    while server.alive():
        time.sleep(0.5)
    raise RunnerError(
        f"the server ended by itself; the end of its log:\n{server.triton.log_tail()}",
        where="embedded Triton",
    )
