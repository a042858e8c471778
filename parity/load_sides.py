"""The sides of a load run: which can be put under load, where requests go, and where they can be observed."""

from __future__ import annotations

from urllib.parse import urlsplit

from parity.config import RunFile
from parity.errors import RunnerError, UsageError
from parity.load.observe import Sources
from parity.load.run import ORDER
from parity.runners import RUNNERS, Runner
from parity.runners.http_service import HttpServiceRunner
from parity.runners.triton import TritonRunner
from parity.runners.triton_transport import Connection
from parity.serving.prometheus import MetricsSource
from parity.serving.statistics import StatisticsSource
from parity.serving.web import Access, is_loopback


def check_served(run_file: RunFile, model: str) -> None:
    """Raise UsageError unless both sides of the model answer over a network: only there load can be put."""
    for side in ORDER:
        name = run_file.side(model, side).runner
        kind = RUNNERS.get(name)
        if kind is not None and not hasattr(kind, "target"):
            raise UsageError(
                f"the runner {name!r} answers in process",
                where=f"{side} of model {model!r}",
                expected="a served path: the runner 'http-service' or 'triton'",
                remedy="name one in the run file; demo/services.toml shows how",
            )


def sources(runner: Runner) -> Sources:
    """Where a side can be observed: Triton's statistics and metrics, or this machine's GPU."""
    if isinstance(runner, TritonRunner):
        reached = _reached(runner)
        access = Access(headers=reached.headers(), ca_file=reached.ca)
        statistics = StatisticsSource(
            url=reached.address,
            model=runner.served_model,
            version=runner.settings.version,
            protocol=reached.wire,
            tls=reached.tls,
            access=access,
        )
        return Sources(statistics=statistics, metrics=MetricsSource(url=runner.metrics_url, access=access))
    if isinstance(runner, HttpServiceRunner):
        return Sources(nvml=is_loopback(urlsplit(runner.settings.url).hostname or ""))
    return Sources()


def endpoint(runner: Runner) -> str:
    """Where requests went, without secrets."""
    if isinstance(runner, TritonRunner):
        reached = _reached(runner)
        return f"{reached.wire}://{reached.address}"
    return runner.endpoint.detect if isinstance(runner, HttpServiceRunner) else type(runner).__name__


def _reached(runner: TritonRunner) -> Connection:
    if runner.reached is None:
        raise RunnerError("the runner was not entered", where="triton")
    return runner.reached
