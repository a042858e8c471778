"""What is sent: a working set of pictures in memory, so that no disk is under the clock.

It is bounded and sent again and again, so memory stays flat however many requests a run makes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from parity.dataset import ImageProblem, ImageReader, ImageRecord
from parity.errors import EvidenceError
from parity.load.plan import LoadPlan
from parity.runners.target import Target
from parity.serving.evidence import SideName

SHOWN = 5
_DEEPEST = 6


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One image of the working set, with the bytes of its file."""

    image: ImageRecord
    file: bytes


@dataclass(frozen=True, kw_only=True)
class Material:
    """The working set of a run, the same for both sides.

    payloads: with work `tensor`, what each side sends, in the order of `pictures`. payload_bytes: the
    largest payload of either side. problems: images that were left out on both sides, and why.
    """

    pictures: tuple[Picture, ...]
    payloads: Mapping[SideName, tuple[Any, ...]]
    payload_bytes: int
    problems: tuple[str, ...]


def gather(
    images: Sequence[ImageRecord],
    reader: ImageReader,
    targets: Mapping[SideName, Target],
    plan: LoadPlan,
) -> Material:
    """Read images spread evenly over the data set, within the reader's limits, and encode each for each side.

    What one side cannot use is left out on both. Raises EvidenceError when nothing can be sent.
    """
    pictures: list[Picture] = []
    payloads: dict[SideName, list[Any]] = {side: [] for side in targets}
    problems: list[str] = []
    held = largest = 0
    for image in spread(images, plan.most_images):
        try:
            reader.read(image)  # which finds pictures that cannot be decoded, before they are under the clock
            picture = Picture(image=image, file=reader.file(image))
            encoded = {side: target.encode(image, picture.file) for side, target in targets.items()}
        except ImageProblem as problem:
            problems.append(f"{image.file_name}: {problem.message}")
            continue
        sizes = [payload_bytes(payload) for payload in encoded.values()]
        held += len(picture.file) + (sum(sizes) if plan.work == "tensor" else 0)
        if held > plan.most_bytes and pictures:
            break
        largest = max(largest, *sizes)
        pictures.append(picture)
        if plan.work == "tensor":
            for side, payload in encoded.items():
                payloads[side].append(payload)
    if not pictures:
        told = "; ".join(problems[:SHOWN]) or "the data set has no images"
        raise EvidenceError(
            f"no image can be sent: {told}", where="load", expected="at least one usable image"
        )
    return Material(
        pictures=tuple(pictures),
        payloads={side: tuple(each) for side, each in payloads.items()},
        payload_bytes=largest,
        problems=tuple(problems),
    )


def spread(images: Sequence[ImageRecord], most: int) -> Sequence[ImageRecord]:
    """At most `most` images, evenly over the whole sequence, in its order."""
    if len(images) <= most:
        return images
    return [images[i * len(images) // most] for i in range(most)]


def payload_bytes(payload: Any) -> int:
    """About how much memory a payload holds, through containers, dataclasses and plain objects."""
    return _held(payload, _DEEPEST, set())


def _held(value: Any, depth: int, seen: set[int]) -> int:
    if id(value) in seen or depth == 0:
        return 0
    seen.add(id(value))
    if isinstance(size := getattr(value, "nbytes", None), int):  # arrays, and memory that is shared
        return size
    if isinstance(value, (bytes, bytearray, str)):
        return len(value)
    if hasattr(value, "ByteSize"):  # a protobuf message, which has no other parts to look into
        return int(value.ByteSize())
    return sum(_held(part, depth - 1, seen) for part in _parts(value))


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    if isinstance(value, (list, tuple)):
        return value
    if is_dataclass(value):
        return [getattr(value, part.name) for part in fields(value)]
    return list(getattr(value, "__dict__", {}).values())
