"""Whatever bytes a repository holds, a check ends in findings, and damage to an engine is never clean."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parity.repository.check import CODES, Request, Result, Severity, check
from parity.repository.check.document import to_json
from parity.repository.check.places import Places
from parity.repository.check.text import to_text
from parity.visible import visible
from tests.repository_samples import PRODUCTION, Sample

SETTINGS = settings(
    deadline=None, max_examples=100, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
LONGEST_S = 5.0
CONFIG = (PRODUCTION / "yolo26" / "config.pbtxt").read_text("utf-8")
PIECES = st.sampled_from(
    [
        *"{}[]:\"'#\n\\\0é", "-1", "0", "99999999999999999999", "TYPE_FP16", "KIND_CPU",
        "data_type: 999", "kind: 99", "999",
        'key: "names"', "dims: [ ]", "reshape { shape: [ ] }", "sequence_batching { }", "output { }",
        "ensemble_scheduling { }", 'name: "\\377"', "batch_size: 4294967295",
        "version_policy { specific { } }",
        'label_filename: "/dev/zero"', 'default_model_filename: ".."', "instance_group { kind: KIND_MODEL }",
        'cc_model_filenames { key: "" value: "/" }', "model_warmup { }",
    ]
) | st.text(max_size=6)  # fmt: skip


@pytest.fixture(scope="module")
def request_of() -> Iterator[Request]:
    """One clean repository for all examples, each of which puts back what it changed."""
    folder = Path(tempfile.mkdtemp())
    yield Sample().write(folder)
    shutil.rmtree(folder)


def checked(request: Request) -> Result:
    """Check within the time, and show the result in both forms."""
    started = time.perf_counter()
    result = check(request)
    assert time.perf_counter() - started < LONGEST_S
    assert all(finding.code in CODES for finding in result.findings)
    failed = result.count(Severity.ERROR) > 0
    text = to_text(result, failed=failed)
    assert all(len(line) <= 80 and visible(line) == line for line in text.split("\n")), text
    assert json.loads(to_json(result, failed=failed))["errors"] == result.count(Severity.ERROR)
    return result


@st.composite
def mutated(draw: st.DrawFn, original: str) -> str:
    """The text with some stretches replaced, and perhaps cut off."""
    text = original
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 30)))
        text = text[:start] + draw(PIECES) + text[end:]
    return text[: draw(st.integers(0, len(text)))] if draw(st.booleans()) else text


@st.composite
def damaged(draw: st.DrawFn, original: bytes) -> bytes:
    """Other bytes than the original: some flipped, inserted or cut off."""
    data = bytearray(original)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        data[at : at + draw(st.integers(0, 8))] = draw(st.binary(max_size=8))
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data)


@SETTINGS
@given(text=mutated(CONFIG))
def test_any_configuration_ends_in_findings(request_of: Request, text: str) -> None:
    path = request_of.repository / "yolo26" / "config.pbtxt"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        result = checked(request_of)
    finally:
        path.write_text(CONFIG, "utf-8")
    if text != CONFIG:
        assert "EVIDENCE_DRIFT" in {finding.code for finding in result.findings}
    for finding in result.findings:
        assert finding.line is None or 1 <= finding.line <= text.count("\n") + 1 + 8


@SETTINGS
@given(text=mutated(CONFIG) | st.text())
def test_places_never_fail(text: str) -> None:
    places = Places(text)
    line = places.line("input[0].dims")
    assert line is None or 1 <= line <= text.count("\n") + 1


@SETTINGS
@given(data=st.data(), name=st.sampled_from(["model.plan", "model.onnx", "build.json"]))
def test_damage_to_an_engine_is_never_clean(request_of: Request, data: st.DataObject, name: str) -> None:
    path = request_of.repository / "yolo26" / "1" / name
    original = path.read_bytes()
    changed = data.draw(damaged(original))
    path.write_bytes(changed)
    try:
        result = checked(request_of)
    finally:
        path.write_bytes(original)
    if changed == original:
        assert result.findings == ()
    elif name != "build.json" or _differs(changed, original):
        assert result.count(Severity.ERROR) > 0, changed[:60]


def _differs(changed: bytes, original: bytes) -> bool:
    """Whether a manifest is damaged in what the check holds other files to, or is no JSON any more."""
    try:
        document, before = json.loads(changed), json.loads(original)
    except (ValueError, RecursionError):
        return True
    kept = ("plan_sha256", "onnx_sha256", "weights_sha256", "names", "profile")
    return not isinstance(document, dict) or any(document.get(key) != before[key] for key in kept[:4])


def test_the_repository_is_clean_between_the_examples(request_of: Request) -> None:
    assert check(request_of).findings == ()
