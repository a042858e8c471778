"""How `parity drill` judges: by its phase, which may take an engine."""

from __future__ import annotations

import pytest

from parity import policies
from parity.cli.drill import _judged
from parity.criteria import Outcome
from parity.serving.evidence import Drill
from tests import serving_samples as good


def drill(**changes: object) -> Drill:
    found = good.serving().drill
    assert found is not None
    return found.model_copy(update=changes)


@pytest.mark.parametrize(
    ("phase", "tensorrt", "outcome", "name"),
    [
        ("rehearsal", False, Outcome.PASS, "rollback_drill"),
        ("backend", False, Outcome.INCONCLUSIVE, "tensorrt_engine"),
        ("backend", True, Outcome.PASS, "rollback_drill"),
    ],
)
def test_a_phase_that_takes_an_engine_passes_no_drill_without_one(
    phase: str, tensorrt: bool, outcome: Outcome, name: str
) -> None:
    result = _judged(drill(tensorrt=tensorrt, images=50), policies.load(phase))
    assert (result.outcome, result.name) == (outcome, name), result.message


def test_a_drill_that_failed_stays_failed_without_an_engine() -> None:
    assert _judged(drill(unequal=2, images=50), policies.load("backend")).outcome is Outcome.FAIL
