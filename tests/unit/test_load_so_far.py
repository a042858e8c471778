"""The evidence of a load run at any time: of the model's version that was asked, and of whole runs alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from parity.answers import Cut
from parity.load.metrics import NOT_SCRAPED
from parity.load.plan import LoadPlan
from parity.load_so_far import SoFar
from parity.runners.triton import TritonRunner, TritonSettings
from parity.serving.evidence import ServingEvidence
from parity.serving.prometheus import Scrape, parse
from tests.http_samples import context, runner
from tests.metrics_text import written

SUCCESS = "nv_inference_request_success"


def both_versions(of_1: int) -> Scrape:
    """Version 1 with so many successes, and version 2, which nobody asks."""
    return parse(written(success=of_1) + written(version="2"), where="metrics")


def found(folder: Path, version: str, *, last: bool = True) -> ServingEvidence:
    """What is known after 30 requests that version 1 answered. last: whether it was scraped afterwards."""
    settings = TritonSettings.model_validate(
        {
            "url": "127.0.0.1:1",
            "model": "yolo26",
            "version": version,
            "metrics_url": "http://127.0.0.1:1/metrics",
        }
    )
    candidate = TritonRunner(context(folder), settings)
    candidate.reached = candidate.connection
    so_far = SoFar(
        runners={"reference": runner(folder, "http://127.0.0.1:1"), "candidate": candidate},
        plan=LoadPlan(),
        images=(),
        quiet={"reference": ({}, {}), "candidate": ({}, {})},
        cut=Cut(score_floor=0.001, max_detections=300),
        python_backend=False,
        metrics=["nv_inference_count"],
    )
    for _ in range(30):
        so_far.run.totals["candidate"].measured.enter("ok", [])
    side = so_far.observer._sides["candidate"]
    side.scrapes = [both_versions(9), both_versions(20), both_versions(39)][: 3 if last else 2]
    side.first, side.last = side.scrapes[0], side.scrapes[-1] if last else None
    return so_far.evidence()


@pytest.mark.parametrize(("version", "moved", "counted"), [("", True, 30), ("1", True, 30), ("2", False, 0)])
def test_only_the_version_that_was_asked_counts(
    version: str, moved: bool, counted: int, tmp_path: Path
) -> None:
    evidence = found(tmp_path, version)
    assert ["policy"] in [metric.wanted_by for metric in evidence.metrics]
    assert {metric.name: metric.moved for metric in evidence.metrics}[SUCCESS] is moved
    assert evidence.reconciliation is not None and evidence.reconciliation.server_success == counted
    assert (evidence.reconciliation.unexplained == []) is moved


def test_two_scrapes_do_not_do_when_the_last_one_is_missing(tmp_path: Path) -> None:
    evidence = found(tmp_path, "1", last=False)
    assert all(
        metric.reason.startswith(f"{NOT_SCRAPED}: no scrape from after") for metric in evidence.metrics
    )
    assert evidence.reconciliation is not None and evidence.reconciliation.server_success is None
    assert "no scrape from after the load" in evidence.reconciliation.reason
