"""Samples of a step's answers: which are decoded, and which kept to be compared with the quiet run's."""

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


class OneOfEvery:
    """Which numbers are drawn: of 0 to `every` - 1 one, of the next as many another, and so on.

    A fixed stride would meet the same few pictures over and over where it has a divisor in common with
    their count; a draw for each block comes by all of them. To be asked in the order of numbers.
    """

    def __init__(self, every: int, seed: int) -> None:
        self.every = every
        self._random = random.Random(seed)  # noqa: S311  # a sample, no secret
        self._block = -1
        self._place = 0

    def __contains__(self, number: int) -> bool:
        block, place = divmod(number, self.every)
        if block != self._block:
            self._block, self._place = block, self._random.randrange(self.every)
        return place == self._place


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
