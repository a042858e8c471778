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
from parity.secrecy import is_loopback
from parity.serving.prometheus import MetricsSource
from parity.serving.statistics import StatisticsSource
from parity.serving.web import Access


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
        statistics = StatisticsSource(
            url=reached.address,
            model=runner.served_model,
            version=runner.settings.version,
            protocol=reached.wire,
            tls=reached.tls,
            access=Access(headers=reached.headers(), ca_file=reached.ca),
        )
        metrics = MetricsSource(
            url=runner.metrics_url,
            access=Access(headers=_to_metrics(reached, runner.metrics_url), ca_file=reached.ca),
        )
        return Sources(statistics=statistics, metrics=metrics)
    if isinstance(runner, HttpServiceRunner):
        return Sources(nvml=is_loopback(urlsplit(runner.settings.url).hostname or ""))
    return Sources()


def endpoint(runner: Runner) -> str:
    """Where requests went, without secrets."""
    if isinstance(runner, TritonRunner):
        reached = _reached(runner)
        return f"{reached.wire}://{reached.address}"
    return runner.endpoint.detect if isinstance(runner, HttpServiceRunner) else type(runner).__name__


def _to_metrics(reached: Connection, url: str) -> dict[str, str]:
    """Headers of a question for metrics: the token goes to its own host alone, and not in clear text.

    Metrics have a port, and may have a host, of their own, whose TLS is not that of the model's.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    secret = parts.scheme == "https" or is_loopback(host)
    return reached.headers() if secret and host == reached.host.lower() else {}


def _reached(runner: TritonRunner) -> Connection:
    if runner.reached is None:
        raise RunnerError("the runner was not entered", where="triton")
    return runner.reached
