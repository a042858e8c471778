"""Which images a comparison of two files rests on.

A results file lists detections, so an image on which nothing was found looks like one that was never run.
parity's own tables say which is which. Where a file cannot, both sides must at least name the same images,
and a way out has to be chosen in words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from parity.errors import EvidenceError

Choice = Literal["same", "common", "all"]
MOST_NAMED = 5
MOST_SILENT = 0.5
"""Share of images without any detection on either side over which the files look like parts of a run."""


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """What one file says of images.

    named: ids with detections. attempted, answered: ids, None where the format does not tell.
    """

    name: str
    named: frozenset[int]
    attempted: frozenset[int] | None = None
    answered: frozenset[int] | None = None


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The images to compare, and what a reader has to know about the choice.

    silent: images without detections on either side, of which nothing says that they were run. partial: some
    were left out.
    """

    images: frozenset[int]
    silent: frozenset[int] = frozenset()
    notes: tuple[str, ...]
    partial: bool


def choose(annotated: frozenset[int], reference: Coverage, candidate: Coverage, choice: Choice) -> Chosen:
    """The images of the comparison.

    "same": both sides must have run over the same images. "common": those that both answered, for a file
    that cannot say so those with detections. "all": every image was run, and one without detections is one
    on which nothing was found. Raises EvidenceError when the sides ran over different images, or nothing
    is left.
    """
    if choice == "common":
        return _common(annotated, reference, candidate)
    known = [side for side in (reference, candidate) if side.attempted is not None]
    if len(known) == 2:
        _same(reference.attempted or frozenset(), candidate.attempted or frozenset(), reference, candidate)
        return Chosen(images=reference.attempted or frozenset(), notes=(), partial=False)
    images = annotated if not known or known[0].attempted is None else known[0].attempted
    for side in (reference, candidate):
        if not side.named <= images:
            _same(side.named, images & side.named, side, known[0])
    if choice == "all":
        note = "By --images all, an image without detections is taken as one on which nothing was found."
        return Chosen(images=images, notes=(note,), partial=False)
    _same(reference.named, candidate.named, reference, candidate)
    # A table beside the file says that it ran there and found nothing either.
    silent = frozenset() if known else images - reference.named - candidate.named
    if len(silent) > MOST_SILENT * len(images):
        raise EvidenceError(
            f"neither side has detections for {len(silent)} of {len(images)} images",
            where=f"{reference.name} and {candidate.name}",
            expected="results of the whole data set",
            remedy="compare the images that both have with --images common, or say with --images all that "
            "the others were run too",
        )
    notes = []
    if silent:
        notes.append(
            f"{len(silent)} of {len(images)} images have no detections on either side; results files cannot "
            "say whether they were run."
        )
    return Chosen(images=images, notes=tuple(notes), silent=silent, partial=False)


def _common(annotated: frozenset[int], reference: Coverage, candidate: Coverage) -> Chosen:
    sides = [side.named if side.answered is None else side.answered for side in (reference, candidate)]
    images = annotated & sides[0] & sides[1]
    if not images:
        raise EvidenceError(
            "no image was answered by both sides",
            where=f"{reference.name} and {candidate.name}",
            expected="results for the same images",
        )
    left = [len(annotated & side) - len(images) for side in sides]
    note = (
        f"By --images common, only the {len(images)} of {len(annotated)} images that both sides answered are "
        f"compared (in a results file: have detections); {left[0]} more are in the reference only, "
        f"{left[1]} in the candidate only."
    )
    for side in (reference, candidate):
        failed = len((side.attempted or frozenset()) - (side.answered or frozenset()))
        note += f" {side.name} says that {failed} images failed." if failed else ""
    return Chosen(images=images, notes=(note,), partial=len(images) < len(annotated))


def _same(first: frozenset[int], second: frozenset[int], reference: Coverage, candidate: Coverage) -> None:
    only = [
        (side.name, sorted(ids)) for side, ids in ((reference, first - second), (candidate, second - first))
    ]
    told = [f"{len(ids)} only in {name} ({_some(ids)})" for name, ids in only if ids]
    if told:
        raise EvidenceError(
            f"the sides ran over different images: {', '.join(told)}",
            where=f"{reference.name} and {candidate.name}",
            expected="results for the same images",
            remedy="run the other images too; or compare only what both have with --images common; or, when "
            "results files of every image found nothing on some, say so with --images all",
        )


def _some(ids: list[int]) -> str:
    more = len(ids) - MOST_NAMED
    shown = ", ".join(map(str, ids[:MOST_NAMED]))
    return f"image ids {shown}" + (f" and {more} more" if more > 0 else "")
