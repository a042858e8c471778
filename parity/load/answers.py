"""A sample of a step's answers, kept to be compared with the quiet run's."""

from __future__ import annotations

import random
from dataclasses import dataclass

from parity.load.plan import Load
from parity.runners.base import ImageResult
from parity.serving.evidence import SideName


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer that was given under load; `result.image_id` says to which image."""

    side: SideName
    load: Load
    turn: int
    result: ImageResult


class Reservoir:
    """Keeps `most` of all answers that come by, each with the same chance (Vitter 1985, algorithm R)."""

    def __init__(self, most: int, seed: int) -> None:
        self.most = most
        self.kept: list[ImageResult] = []
        self._seen = 0
        self._random = random.Random(seed)  # noqa: S311  # a sample, no secret

    def offer(self, result: ImageResult) -> None:
        """Keep the answer, perhaps in place of another one."""
        self._seen += 1
        if len(self.kept) < self.most:
            self.kept.append(result)
            return
        place = self._random.randrange(self._seen)
        if place < self.most:
            self.kept[place] = result
