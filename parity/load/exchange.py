"""One request from its intended time to its end, on either kind of work, entered in the tally once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from parity.dataset import ImageProblem
from parity.detections import Status
from parity.load.answers import OneOfEvery, Reservoir
from parity.load.material import Material, Picture
from parity.load.tally import IMAGE_UNUSABLE, NOT_ANSWERED, NOT_SENT, Tally
from parity.load.threads import Clock, Threads
from parity.requests import RequestError
from parity.runners.base import ImageResult
from parity.runners.target import Target
from parity.serving.evidence import SideName, Work

BAD_ANSWER = "bad-answer"
NONFINITE = "nonfinite"
LATE_S = 0.001


class Exchange:
    """Carries a step's requests to its target, from the event loop's thread.

    Encoding and decoding are work for the processor and run on `threads`, so that the loop is
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
        chosen: OneOfEvery,
        tally: Tally,
        kept: Reservoir,
        threads: Threads,
        clock: Clock,
    ) -> None:
        self.target = target
        self.pictures = material.pictures
        self.payloads = material.payloads[side]
        self.chosen = chosen
        self.tally = tally
        self.kept = kept
        self.threads = threads
        self.clock = clock
        self.ending = False
        self._carry = self._image if work == "image" else self._tensor

    async def send(self, number: int, intended: float) -> bool:
        """Send picture `number` (counted on without end) and enter its end; whether it was answered.

        intended: when it was meant to be sent, by the clock. From there latency runs, whatever kept the
        generator (Tene's "coordinated omission"). Raises nothing but what cancels it.
        """
        tally, request = self.tally, _Request(intended)
        if self.clock() - intended > LATE_S and tally.measured(intended):
            tally.late_sends += 1
        try:
            await self._carry(number, request)
            return True
        except RequestError as error:
            reason = error.reason
        except ImageProblem:
            reason = IMAGE_UNUSABLE
        except asyncio.CancelledError:
            # gRPC ends a call so when its channel closes, though nobody cancelled this task.
            if self.ending:
                tally.lost(intended, NOT_ANSWERED, sent=request.sent)
                raise
            reason = "cancelled"
        except Exception as error:  # noqa: BLE001  # a target may be anybody's code; its failures are counted
            reason = type(error).__name__
        tally.lost(intended, reason, sent=request.sent)
        return False

    def refuse(self, intended: float) -> None:
        """Enter a request that was meant to be sent while too many were under way."""
        self.tally.lost(intended, NOT_SENT, sent=False)

    async def _image(self, number: int, request: _Request) -> None:
        """From the file's bytes to boxes, all of it under the clock."""
        picture: Picture = self.pictures[number % len(self.pictures)]
        began = self.clock()
        encoding = self.threads.call(self.target.encode, picture.image, picture.file)
        payload, encode_began, encode_ended = await encoding
        sent, request.sent = self.clock(), True
        answer = await self.target.send(payload)
        arrived = self.clock()
        decoding = self.threads.call(self.target.decode, picture.image, payload, answer)
        result, decode_began, decode_ended = await decoding
        check(result)
        # The loop hears of the end a moment after the thread; a client that goes on with the boxes does too.
        if self.tally.answered(request.intended, self.clock()):
            self.tally.client.add(
                waiting=(encode_began - began) + (decode_began - arrived),
                encoding=encode_ended - encode_began,
                sending=arrived - sent,
                decoding=decode_ended - decode_began,
            )
            self.tally.checked += 1
            self.kept.offer(result)

    async def _tensor(self, number: int, request: _Request) -> None:
        """The request alone; of every so many answers one is decoded after the clock has stopped."""
        index, chosen = number % len(self.pictures), number in self.chosen
        payload = self.payloads[index]
        began, request.sent = self.clock(), True
        answer = await self.target.send(payload)
        ended = self.clock()
        decoded: ImageResult | None = None
        if chosen:
            image = self.pictures[index].image
            result, _, _ = await self.threads.call(self.target.decode, image, payload, answer)
            decoded = check(result)
        if self.tally.answered(request.intended, ended):
            self.tally.client.sending += ended - began
            if decoded is not None:
                self.tally.checked += 1
                self.kept.offer(decoded)


@dataclass(slots=True)
class _Request:
    intended: float
    sent: bool = False


def check(result: ImageResult) -> ImageResult:
    """The answer itself. Raises RequestError for one that came but is of no use."""
    if result.status is not Status.OK:
        raise RequestError(result.message or "no boxes", reason=BAD_ANSWER, retryable=False)
    if result.nonfinite:
        raise RequestError(
            f"{result.nonfinite} detections with NaN or infinite numbers", reason=NONFINITE, retryable=False
        )
    return result
