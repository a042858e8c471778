"""What a reader is told before the numbers."""

from __future__ import annotations

from parity.assess import sections
from parity.report.document import Pair
from tests import report_samples as samples


def with_missing(pair: Pair) -> Pair:
    counts = pair.images.model_copy(update={"attempted": 10, "answered_by_both": 8})
    return pair.model_copy(update={"images": counts})


def test_missing_images_are_told_of_what_rests_on_the_others() -> None:
    pair = with_missing(samples.pair("m", images=0))
    (note, *_) = sections.notes([pair])
    assert note.startswith("m: accuracy and agreement rest on the 8 images") and "2 of 10" in note


def test_a_load_run_has_no_accuracy_to_tell_of() -> None:
    pair = with_missing(samples.pair("m", images=0)).model_copy(update={"accuracy": None, "agreement": None})
    (note, *_) = sections.notes([pair])
    assert note.startswith("m: the quiet answers rest on the 8 images") and "accuracy" not in note


def test_nothing_missing_is_nothing_to_tell() -> None:
    assert not any("rest on" in note for note in sections.notes([samples.pair("m", images=0)]))
