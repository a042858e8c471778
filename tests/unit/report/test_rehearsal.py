"""A rehearsal says what really ran."""

from __future__ import annotations

from pathlib import Path

import pytest

from parity.report.html import render_html
from parity.report.rehearsal import IN_PROCESS, NO_ENGINE, wording
from tests import report_samples as samples


@pytest.mark.parametrize("kind", IN_PROCESS)
def test_an_in_process_candidate_is_labelled_for_what_it_is(tmp_path: Path, kind: str) -> None:
    report = samples.report([samples.pair()], rehearsal=True)
    report.pairs[0].provenance["candidate"] = {"in_process": kind}
    assert wording(report) == IN_PROCESS[kind]
    assert IN_PROCESS[kind].headline in render_html(report, tmp_path)


def test_what_holds_for_one_model_is_not_said_of_two() -> None:
    report = samples.report([samples.pair(), samples.pair()], rehearsal=True)
    report.pairs[0].provenance["candidate"] = {"in_process": "tensorrt"}
    report.pairs[1].provenance["candidate"] = {}
    assert wording(report) == NO_ENGINE
