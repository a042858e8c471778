"""One request from its intended time to its end, on either kind of work, entered in the tally once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar

from parity.dataset import ImageProblem
from parity.detections import Status
from parity.load.answers import Reservoir
from parity.load.material import Material, Picture
from parity.load.tally import IMAGE_UNUSABLE, NOT_ANSWERED, NOT_SENT, ClientTimes, Tally
from parity.requests import RequestError
from parity.runners.base import ImageResult
from parity.runners.target import Target
from parity.serving.evidence import SideName, Work

T = TypeVar("T")
Clock = Callable[[], float]
BAD_ANSWER = "bad-answer"
NONFINITE = "nonfinite"
LATE_S = 0.001


class Exchange:
    """Carries a step's requests to its target, from the event loop's thread.

    Encoding and decoding are work for the processor and run on `executor`'s threads, so that the loop is
    free to take in answers; both sides use the same threads, one for each core, and wait for one in the
    order of arrival. A request's wait for a thread is in its latency, as it would be on a busy client, and
    is told apart in the client's times.
    """

    def __init__(
        self,
        *,
        side: SideName,
        target: Target,
        material: Material,
        work: Work,
        check_every: int,
        tally: Tally,
        kept: Reservoir,
        executor: Executor,
        clock: Clock,
    ) -> None:
        self.target = target
        self.pictures = material.pictures
        self.payloads = material.payloads[side]
        self.check_every = check_every
        self.tally = tally
        self.kept = kept
        self.executor = executor
        self.clock = clock
        self.ending = False
        self._carry = self._image if work == "image" else self._tensor

    async def send(self, number: int, intended: float) -> bool:
        """Send picture `number` (counted on without end) and enter its end; whether it was answered.

        intended: when it was meant to be sent, by the clock. From there latency runs, whatever kept the
        generator (Tene's "coordinated omission"). Raises nothing but what cancels it.
        """
        tally, sent = self.tally, True
        if self.clock() - intended > LATE_S and tally.measured(intended):
            tally.late_sends += 1
        try:
            await self._carry(number, intended)
            return True
        except RequestError as error:
            reason = error.reason
        except ImageProblem:
            reason, sent = IMAGE_UNUSABLE, False
        except asyncio.CancelledError:
            # gRPC ends a call so when its channel closes, though nobody cancelled this task.
            if self.ending:
                tally.lost(intended, NOT_ANSWERED)
                raise
            reason = "cancelled"
        except Exception as error:  # noqa: BLE001  # a target may be anybody's code; its failures are counted
            reason = type(error).__name__
        tally.lost(intended, reason, sent=sent)
        return False

    def refuse(self, intended: float) -> None:
        """Enter a request that was meant to be sent while too many were under way."""
        self.tally.lost(intended, NOT_SENT, sent=False)

    async def _image(self, number: int, intended: float) -> None:
        """From the file's bytes to boxes, all of it under the clock."""
        picture: Picture = self.pictures[number % len(self.pictures)]
        times = ClientTimes()
        began = self.clock()
        payload, encode_began, encode_ended = await self._threaded(
            self.target.encode, picture.image, picture.file
        )
        sent = self.clock()
        answer = await self.target.send(payload)
        arrived = self.clock()
        result, decode_began, ended = await self._threaded(self.target.decode, picture.image, payload, answer)
        check(result)
        times.waiting = (encode_began - began) + (decode_began - arrived)
        times.encoding = encode_ended - encode_began
        times.sending = arrived - sent
        times.decoding = ended - decode_began
        # The loop hears of the end a moment after the thread; a client that goes on with the boxes does too.
        if self.tally.answered(intended, self.clock()):
            self.tally.client.add(times)
            self.tally.checked += 1
            self.kept.offer(result)

    async def _tensor(self, number: int, intended: float) -> None:
        """The request alone; every so many answers one is decoded after the clock has stopped."""
        index = number % len(self.pictures)
        payload = self.payloads[index]
        began = self.clock()
        answer = await self.target.send(payload)
        ended = self.clock()
        decoded: ImageResult | None = None
        if number % self.check_every == 0:
            image = self.pictures[index].image
            result, _, _ = await self._threaded(self.target.decode, image, payload, answer)
            decoded = check(result)
        if self.tally.answered(intended, ended):
            self.tally.client.sending += ended - began
            if decoded is not None:
                self.tally.checked += 1
                self.kept.offer(decoded)

    async def _threaded(self, call: Callable[..., T], *arguments: Any) -> tuple[T, float, float]:
        """Call on a thread: what came out, and when it began and ended."""

        def timed() -> tuple[T, float, float]:
            began = self.clock()
            outcome = call(*arguments)
            return outcome, began, self.clock()

        return await asyncio.get_running_loop().run_in_executor(self.executor, timed)


def check(result: ImageResult) -> ImageResult:
    """The answer itself. Raises RequestError for one that came but is of no use."""
    if result.status is not Status.OK:
        raise RequestError(result.message or "no boxes", reason=BAD_ANSWER, retryable=False)
    if result.nonfinite:
        raise RequestError(
            f"{result.nonfinite} detections with NaN or infinite numbers", reason=NONFINITE, retryable=False
        )
    return result
