"""The sides of a load run: which can be put under load, where requests go, and where they can be observed."""

from __future__ import annotations

from urllib.parse import urlsplit

from parity.config import RunFile
from parity.errors import RunnerError, UsageError
from parity.load.observe import Sources
from parity.load.run import ORDER
from parity.runners import RUNNERS, Runner, kind_of
from parity.runners.http_service import HttpServiceRunner
from parity.runners.triton import TritonRunner
from parity.runners.triton_transport import Connection
from parity.secrecy import is_loopback
from parity.serving.prometheus import MetricsSource
from parity.serving.statistics import StatisticsSource
from parity.serving.web import Access


def check_served(run_file: RunFile, model: str) -> None:
    """Raise UsageError unless both sides of the model answer over a network: only there load can be put.

    Also where a runner of the user's own cannot be imported.
    """
    for side in ORDER:
        name = run_file.side(model, side).runner
        if not hasattr(kind_of(name), "target"):
            why = "answers in process" if name in RUNNERS else "has no `target`"
            raise UsageError(
                f"the runner {name!r} {why}",
                where=f"{side} of model {model!r}",
                expected="a served path: 'http-service', 'triton', or a runner of your own with `target`",
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


def served(runner: Runner) -> tuple[str, str]:
    """Name and version by which the server counts the model; no version where the server chooses it."""
    if isinstance(runner, TritonRunner):
        return runner.served_model, runner.settings.version
    return "", ""


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
