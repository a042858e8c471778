"""One call, two paths: the switch by which a rollout goes forward and back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from parity.dataset import ImageRecord
from parity.detections import Status
from parity.environment import read
from parity.runners.base import ImageResult, Runner

Role = Literal["reference", "candidate"]
SWITCH = "TRITON_ENABLED"


def enabled(environment: Mapping[str, str]) -> bool:
    """Whether TRITON_ENABLED sends calls to the candidate, as it does when it is not set.

    Raises UsageError for a value that is neither yes nor no: a slip of the hand must not decide where traffic
    goes.
    """
    return bool(read({SWITCH: environment.get(SWITCH, "")}).get("enabled", True))


class RoutedRunner:
    """Answers through the candidate or the reference, as the switch stands when an image's turn comes.

    environment: where TRITON_ENABLED is looked up, anew for every image. answered: answers by the path that
    gave them. candidate: the entered runner, or None while it is away. There is no falling back: an image
    that the candidate cannot answer fails, until somebody turns the switch.
    """

    def __init__(self, reference: Runner, candidate: Runner | None, environment: Mapping[str, str]) -> None:
        self.reference = reference
        self.candidate = candidate
        self.environment = environment
        self.answered: Counter[Role] = Counter()

    def predict(self, images: Iterable[ImageRecord]) -> Iterator[ImageResult]:
        """One result an image, in the order given. Raises what the chosen runner raises."""
        for image in images:
            role: Role = "candidate" if enabled(self.environment) else "reference"
            runner = self.candidate if role == "candidate" else self.reference
            if runner is None:
                yield ImageResult(
                    image_id=image.image_id, status=Status.FAILED, message="the candidate is away"
                )
                continue
            for result in runner.predict([image]):
                self.answered[role] += result.status is Status.OK
                yield result
