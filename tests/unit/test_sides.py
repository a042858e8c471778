"""The order in which sides are made ready: whatever runs elsewhere is asked before anything starts here."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from parity.config import RunFile, RunnerConfig, load
from parity.dataset import Dataset, OpenCvReader
from parity.dataset import load as load_dataset
from parity.errors import RunnerError
from parity.progress import Silent
from parity.runners import SETTINGS
from parity.sides import Request, entered

ROOT = Path(__file__).parents[2]
EMBEDDED = RunnerConfig(runner="triton")


@pytest.fixture(scope="module")
def run_file() -> RunFile:
    return load(ROOT / "demo" / "services.toml", SETTINGS, None)


@pytest.fixture(scope="module")
def dataset(run_file: RunFile) -> Dataset:
    return load_dataset(run_file.dataset, run_file.datasets[run_file.dataset], Silent())


@pytest.mark.parametrize("away", ["reference", "candidate"])
def test_a_service_that_is_not_there_costs_no_start_of_an_embedded_server(
    away: str, run_file: RunFile, dataset: Dataset, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    model = run_file.models["yolo26"]
    assert model.reference is not None and model.reference.runner == "http-service"
    gone = RunnerConfig(
        runner="http-service", **{**model.reference.settings, "url": f"http://127.0.0.1:{port}"}
    )
    sides = {"reference": EMBEDDED, "candidate": EMBEDDED, away: gone}
    model = model.model_copy(update=sides)
    request = Request(
        run_file=run_file.model_copy(update={"models": {"yolo26": model}}),
        models=("yolo26",),
        images=None,
        folder=tmp_path / "run",
        cache=tmp_path / "cache",
        command="parity load",
    )
    reader = OpenCvReader(run_file.datasets[run_file.dataset])
    with ExitStack() as stack, pytest.raises(RunnerError, match=str(port)):
        entered(stack, request, "yolo26", dataset, reader, {}, Silent())
    assert list(tmp_path.iterdir()) == [], "an embedded server would have begun its environment"
