"""A runner that a run file can name, and that takes its own service away in mid-run."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from typing import ClassVar

from parity.dataset import ImageRecord
from parity.runners import ImageResult, RunnerContext, RunnerSettings
from parity.runners.http_service import HttpServiceRunner, HttpServiceSettings


class KillingSettings(HttpServiceSettings):
    """pid: of the service. after: how many answers it gives before."""

    pid: int
    after: int


class KillsTheService(HttpServiceRunner):
    """Runner http-service, and kill -9 of the service after some answers."""

    Settings: ClassVar[type[RunnerSettings]] = KillingSettings

    def __init__(self, context: RunnerContext, settings: KillingSettings) -> None:
        super().__init__(context, settings)
        self.pid, self.after = settings.pid, settings.after

    def predict(self, images: Iterable[ImageRecord]) -> Iterator[ImageResult]:
        for count, result in enumerate(super().predict(images), start=1):
            yield result
            if count == self.after:
                os.kill(self.pid, signal.SIGKILL)
