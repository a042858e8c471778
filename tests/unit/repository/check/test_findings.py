"""Every finding has a repository that shows it, and nothing else is found there."""

from __future__ import annotations

from pathlib import Path

import pytest
from onnx import TensorProto

from parity.repository.check import CODES, Finding, Severity, check
from tests import repository_samples as made
from tests.build_samples import NAMES
from tests.repository_faults import CASES, Case, asking, both, building, removing, setting
from tests.repository_samples import Sample


def findings(case: Case, root: Path) -> tuple[Finding, ...]:
    sample = Sample(name=case.name)
    if case.before:
        case.before(sample)
    request = sample.write(root)
    if case.after:
        case.after(root)
    return check(request).findings


@pytest.mark.parametrize("name", ["yolo26", "rtdetr"])
def test_a_clean_repository(tmp_path: Path, name: str) -> None:
    result = check(Sample(name=name).write(tmp_path))
    assert result.findings == ()
    assert result.models == {name: 1}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_fault_is_found_and_nothing_else(tmp_path: Path, case: Case) -> None:
    found = findings(case, tmp_path)
    assert sorted(finding.code for finding in found) == sorted(case.codes.split()), found
    for finding in found:
        assert finding.found and finding.expected and finding.fix and finding.file
        assert finding.severity is CODES[finding.code].severity
    if case.line:
        first = next(finding for finding in found if finding.code == case.codes.split()[0])
        lines = (tmp_path / "repository" / first.file).read_text("utf-8").splitlines()
        assert first.line is not None
        assert lines[first.line - 1].strip() == case.line


def test_every_code_is_shown() -> None:
    assert {code for case in CASES.values() for code in case.codes.split()} == set(CODES)


@pytest.mark.parametrize(
    "case",
    [
        Case("", before=setting(graph=made.graph(made.decomposed_layernorm(in_single=True)))),
        Case("", before=setting(graph=made.graph(constants=[made.integers(2**63 - 1, -(2**63), 5)]))),
        Case(
            "",
            before=both(
                setting(graph=made.graph(weights=TensorProto.FLOAT, opset=12)), building(precision="fp32")
            ),
        ),
        Case("", before=both(setting(plan=made.plan((11, 0, 1, 2))), building(tensorrt_version="11.0"))),
        Case("", before=lambda s: s.replace("dims: [ 300, 6 ]", "dims: [ -1, 6 ]")),
        Case("", before=lambda s: s.replace("kind: KIND_GPU\n", "")),
        Case("", before=setting(categories=NAMES[::-1])),
        Case("", before=lambda s: s.replace('platform: "tensorrt_plan"', 'backend: "tensorrt"')),
        Case("", before=asking(models=("yolo26",))),
    ],
    ids=[
        "LayerNorm in FP32", "Slice to the end", "FP32", "parts of a version", "dynamic dims",
        "automatic kind", "another order of categories", "named by the backend", "a chosen model",
    ],
)  # fmt: skip
def test_what_is_no_fault(tmp_path: Path, case: Case) -> None:
    assert findings(case, tmp_path) == ()


def test_everything_is_found_in_one_go(tmp_path: Path) -> None:
    sample = Sample()
    sample.replace("max_batch_size: 8", "max_batch_size: 64")
    sample.replace("kind: KIND_GPU", "kind: KIND_CPU")
    sample.replace("dims: [ 300, 6 ]", "dims: [ 12, 1344 ]")
    sample.plan = b"MZ"
    sample.graph = made.graph(made.decomposed_layernorm(), opset=12, names=("a",))
    sample.labels = ""
    codes = {finding.code for finding in check(sample.write(tmp_path)).findings}
    assert codes >= {
        "BATCH_CONFIG", "INSTANCE_KIND", "IO_SHAPE", "HEAD_MISMATCH", "NOT_A_PLAN", "LAYERNORM_FP16",
        "OPSET_OLD", "CLASS_MAP", "LABELS", "COLD_START",
    }  # fmt: skip


def test_a_warm_up_is_told_which_inputs_are_declared(tmp_path: Path) -> None:
    sample = Sample()
    sample.replace('key: "images"', 'key: "image"', 1)
    (found,) = check(sample.write(tmp_path)).findings
    assert found.expected == "batches up to 8 of images, FP32 [3, 256, 256]"


def test_without_a_run_file_the_manifest_decides(tmp_path: Path) -> None:
    sample = Sample()
    sample.request["run_file"] = None
    sample.replace('"letterbox"', '"stretch"')
    (found,) = check(sample.write(tmp_path)).findings
    assert (found.code, found.expected) == ("METADATA", "letterbox, as yolo26/1/build.json says")


def test_with_nothing_else_the_configuration_is_held_to_itself(tmp_path: Path) -> None:
    sample = Sample()
    sample.request["run_file"] = None
    sample.replace('"256x256"', '"256x320"')
    request = sample.write(tmp_path)
    removing("build.json", "model.onnx", "model.plan")(tmp_path)
    found = {finding.code: finding for finding in check(request).findings}
    assert set(found) == {"PLAN_NOT_BUILT", "METADATA"}
    assert found["METADATA"].expected == "256x256, the input's height and width"


def test_a_plan_that_is_not_built_can_be_allowed(tmp_path: Path) -> None:
    sample = Sample()
    sample.request["allow_unbuilt"] = True
    request = sample.write(tmp_path)
    removing("model.plan", "model.onnx", "build.json")(tmp_path)
    (found,) = check(request).findings
    assert (found.code, found.severity) == ("PLAN_NOT_BUILT", Severity.INFO)


def test_a_lost_plan_is_never_allowed(tmp_path: Path) -> None:
    sample = Sample()
    sample.request["allow_unbuilt"] = True
    request = sample.write(tmp_path)
    removing("model.plan")(tmp_path)
    (found,) = check(request).findings
    assert (found.code, found.severity) == ("PLAN_MISSING", Severity.ERROR)


def test_the_document_has_every_code_as_it_is() -> None:
    text = Path("docs/repository-check.md").read_text("utf-8")
    table = text[text.index("## Codes") :].splitlines()[4:]
    assert table == [f"| `{name}` | {code.severity.value} | {code.meaning} |" for name, code in CODES.items()]
