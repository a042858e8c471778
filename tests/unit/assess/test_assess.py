"""From two sides to a judged pair: what is missing is counted and named, and never passes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parity.assess import Assessment, Options, Side, assess, sections, summarise
from parity.config import DatasetConfig
from parity.criteria import CriterionResult, Outcome
from parity.dataset import OpenCvReader
from parity.detections import Predictions
from parity.errors import EvidenceError, RunnerError
from parity.policies import load
from parity.progress import Silent
from tests import assess_samples as made
from tests.assess_samples import TRUE
from tests.report_samples import pair


def judged(
    folder: Path, reference: Predictions, candidate: Predictions, phase: str = "comparison", **changes: Any
) -> Assessment:
    return assess(
        model="m",
        dataset=made.dataset(folder),
        reader=OpenCvReader(DatasetConfig(path=folder)),
        policy=load(phase),
        reference=Side.of(reference),
        candidate=Side.of(candidate),
        options=Options(),
        provenance={"candidate": {"runner": "none"}},
        timings={"candidate": 1.23456},
        folder=folder / "out",
        progress=Silent(),
        **changes,
    )


def outcomes(found: Assessment) -> dict[str, Outcome]:
    return {criterion.name: criterion.outcome for criterion in found.pair.criteria}


def test_four_images_that_agree_in_everything_prove_too_little(tmp_path: Path) -> None:
    found = judged(tmp_path, made.side(TRUE), made.side(TRUE))
    assert found.pair.accuracy is not None and found.pair.agreement is not None
    assert found.pair.accuracy.difference["AP"].value == 0
    assert found.pair.agreement.agreeing == found.pair.agreement.matched == 4
    assert len(found.differences) == 0
    assert found.pair.timings == {"candidate": 1.235}
    assert Outcome.FAIL not in outcomes(found).values()


def test_a_phase_that_takes_an_engine_says_first_that_there_was_none(tmp_path: Path) -> None:
    found = judged(tmp_path, made.side(TRUE), made.side(TRUE), phase="conversion")
    assert next(iter(outcomes(found))) == "tensorrt_engine"
    assert found.pair.verdict is Outcome.INCONCLUSIVE
    assert "rehearsal" in found.pair.sentence


def test_an_image_without_an_answer_is_named_and_fails(tmp_path: Path) -> None:
    found = judged(tmp_path, made.side(TRUE), made.side(TRUE[:3], failed=(4,)))
    assert outcomes(found)["image_coverage"] is Outcome.FAIL
    assert found.pair.verdict is Outcome.FAIL
    (failure,) = found.pair.images.failures
    assert (failure.image_id, failure.side, failure.message) == (4, "candidate", "no answer")
    assert found.pair.images.answered_by_both == 3
    assert "1 of 4 are missing" in sections.notes([found.pair])[0]


def test_two_silent_sides_are_no_agreement(tmp_path: Path) -> None:
    found = judged(tmp_path, made.side(()), made.side(()))
    assert found.pair.verdict is not Outcome.PASS
    assert outcomes(found)["map_variance"] is Outcome.INCONCLUSIVE
    assert found.pair.accuracy is not None
    assert found.pair.accuracy.difference["AP"].relative_percent is None


def test_a_candidate_that_finds_nothing_fails(tmp_path: Path) -> None:
    found = judged(tmp_path, made.side(TRUE), made.side(()))
    assert found.pair.verdict is Outcome.FAIL
    assert found.pair.agreement is not None and found.pair.agreement.missing == 4


def test_sides_that_were_asked_for_other_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="different images"):
        judged(tmp_path, made.side(TRUE), made.side(TRUE[:3], ids=(1, 2, 3)))


def test_equal_scores_of_a_class_are_told(tmp_path: Path) -> None:
    twice = (*TRUE, (1, 1, 0.9, (10.0, 10.0, 49.0, 50.0)))
    found = judged(tmp_path, made.side(twice), made.side(TRUE))
    assert found.notes[0].startswith("m: 1 detections have the score of another")


def test_a_repeat_that_did_not_answer_gives_no_noise_floor(tmp_path: Path) -> None:
    whole = made.side(TRUE)
    for repeat, told in (
        (None, "no repeat of the reference was stored"),
        (made.side(TRUE[:3], failed=(4,)), "the repeat did not answer 1 of 4 images"),
    ):
        found = judged(tmp_path, whole, whole, repeat=None if repeat is None else Side.of(repeat))
        (floor,) = [e for e in found.pair.estimates if e.group == "noise_floor"]
        assert (floor.value, floor.interval, floor.reason) == (None, None, told)


def assessment(verdict: Outcome, **changes: Any) -> Assessment:
    given = pair(outcome=verdict)
    provenance = {**given.provenance, "candidate": {"tensorrt": True}}
    made_pair = given.model_copy(update={"verdict": verdict, "provenance": provenance, **changes})
    nothing: Any = np.zeros(0)
    return Assessment(pair=made_pair, images=nothing, differences=nothing)


@pytest.mark.parametrize(
    ("verdicts", "error", "expected"),
    [
        ([Outcome.PASS], None, Outcome.PASS),
        ([Outcome.PASS, Outcome.INCONCLUSIVE], None, Outcome.INCONCLUSIVE),
        ([Outcome.PASS, Outcome.FAIL, Outcome.INCONCLUSIVE], None, Outcome.FAIL),
        ([Outcome.PASS], RunnerError("gone"), Outcome.INCONCLUSIVE),
        ([Outcome.FAIL], RunnerError("gone"), Outcome.FAIL),
        ([], None, Outcome.INCONCLUSIVE),
        ([], RunnerError("gone"), Outcome.INCONCLUSIVE),
    ],
)
def test_a_run_that_was_ended_early_can_fail_but_never_pass(
    tmp_path: Path, verdicts: list[Outcome], error: RunnerError | None, expected: Outcome
) -> None:
    report = summarise(
        [assessment(verdict) for verdict in verdicts],
        dataset=made.dataset(tmp_path),
        phase="rehearsal",
        run_id="r",
        command="parity run",
        error=error,
        not_run=["other"] if error else [],
    )
    assert report.verdict is expected
    assert report.rehearsal is (not verdicts)
    assert report.error == (None if error is None else "gone")
    assert any("other: not run" in note for note in report.notes) is (error is not None)


def criterion(name: str, outcome: Outcome, message: str) -> CriterionResult:
    return CriterionResult(
        name=name, outcome=outcome, observed=None, limit=None, unit="", sense="within", interval=None, n=0,
        message=message,
    )  # fmt: skip


def test_the_sentence_says_what_decided() -> None:
    criteria = [
        criterion("image_coverage", Outcome.PASS, "All answered."),
        criterion("map_variance", Outcome.PASS, "AP kept."),
        criterion("box_agreement", Outcome.FAIL, "Boxes moved."),
    ]
    assert sections.sentence("m", Outcome.FAIL, criteria) == "m fails. Boxes moved."
    assert sections.sentence("m", Outcome.PASS, criteria[:2]) == "m passes. AP kept."
    assert sections.sentence("m", Outcome.PASS, criteria[:1]) == "m passes. All answered."
    nothing = sections.sentence("m", Outcome.INCONCLUSIVE, [])
    assert nothing == "m is undecided. The policy has no criteria."


def test_more_failures_than_are_named_are_still_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sections, "MOST_FAILURES_NAMED", 2)
    dataset = made.dataset(tmp_path)
    both_fail = made.side((), failed=made.IDS)
    found = sections.image_counts(dataset, both_fail, both_fail)
    assert (found.failed_on_reference, found.failed_on_candidate, found.answered_by_both) == (4, 4, 0)
    assert len(found.failures) == 2
    assert sections.dataset_facts(replace(dataset, digest="1" * 64))["images_sha256"] == "1" * 64
    assert "images_sha256" not in sections.dataset_facts(dataset)
