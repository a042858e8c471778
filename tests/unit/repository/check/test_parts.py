"""The parts of a check that have rules of their own: plan headers, places, graphs, evidence, class names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from parity.config import DatasetConfig
from parity.repository.check import graph_facts, slim_onnx
from parity.repository.check.build import same_version
from parity.repository.check.classes import class_names
from parity.repository.check.evidence import Evidence
from parity.repository.check.files import Unreadable, inside, read_limited
from parity.repository.check.graph_facts import read_graph
from parity.repository.check.places import Places
from parity.repository.check.plan_header import NoPlan, PlanHeader, read_header
from parity.repository.config_pbtxt import EmbeddedConfig
from parity.repository.exported import ExportedModel
from parity.repository.precision import Signature
from parity.runners import embedded
from tests import repository_samples as made
from tests.build_samples import NAMES

# The first 28 bytes of a plan of 290,900 bytes that TensorRT-RTX 1.7.1.116 built from one convolution.
REAL_RTX = bytes.fromhex("76747274 00000000 02000000 00000000 5470040000000000 01070174")


def test_the_header_of_a_real_plan() -> None:
    expected = PlanHeader(runtime="tensorrt-rtx", serialization=0, version="1.7.1.116", size=290_900)
    assert read_header(REAL_RTX, 290_900) == expected
    cut = read_header(REAL_RTX, 290_899)
    assert isinstance(cut, NoPlan)
    assert (cut.code, "290,899 of the 290,900" in cut.found) == ("PLAN_TRUNCATED", True)


@pytest.mark.parametrize(
    ("start", "size", "code", "found"),
    [
        (b"", 0, "NOT_A_PLAN", "empty"),
        (b"ftrt", 4, "PLAN_TRUNCATED", "4 bytes"),
        (b"PK\x03\x04rest", 8, "NOT_A_PLAN", "zip"),
        (b"version https://git-lfs.github", 130, "NOT_A_PLAN", "LFS"),
        (b"\xff\xff\xff\xff{", 99, "NOT_A_PLAN", "ff ff ff ff"),
        (b'\x90\x02\0\0{"description"', 9000, "ENGINE_HEADER", "660 bytes"),
        (b'\x90\x02\0\0{"description"', 600, "NOT_A_PLAN", "90 02 00 00"),
    ],
)
def test_what_is_no_plan(start: bytes, size: int, code: str, found: str) -> None:
    header = read_header(start, size)
    assert isinstance(header, NoPlan)
    assert header.code == code
    assert found in header.found


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.13.3.9", "10.13", True),
        ("11.0.0", "11", True),
        ("10.13.3", "10.3", False),
        ("11", "10.13", False),
        ("", "10", False),
        ("unknown", "10", False),
    ],
)
def test_versions_agree_in_the_parts_that_both_give(one: str, other: str, same: bool) -> None:
    assert same_version(one, other) is same
    assert same_version(other, one) is same


def test_places_of_lists_and_repeated_messages() -> None:
    text = """# input { name: "no" }
input [
  { name: "a{b", dims: [
      1 ] },
  { name: 'c'
    dims: 3 } ]
output { name: "o" }
output <
  name: "p"
  reshape: { shape: [ 2 ] }
>
parameters { key: "head"
  value: { string_value: "input {" } }
parameters [ { key: "names"
  value { string_value: "x" } } ]
"""
    places = Places(text)
    lines = {
        "input": 2,
        "input[0].dims": 3,
        "input[1]": 5,
        "input[1].dims": 6,
        "output.name": 7,
        "output[1].name": 9,
        "output[1].reshape.shape": 10,
        "output[1].data_type": 8,
        "max_batch_size": None,
    }
    assert {path: places.line(path) for path in lines} == lines
    assert (places.parameter("head"), places.parameter("names"), places.parameter("x")) == (13, 15, None)


def test_a_graph_of_a_real_exporter_s_shape() -> None:
    facts = read_graph(made.graph(opset=17).SerializeToString())
    assert facts is not None
    assert facts.half_share == 1.0
    assert facts.names == NAMES
    assert facts.inputs[0].dims == (-1, 3, -1, -1)
    assert (facts.opset, facts.end_to_end, facts.layernorms, facts.external) == (17, True, (), ())


def test_branches_are_looked_into() -> None:
    inner = helper.make_graph([helper.make_node("GridSample", ["a", "b"], ["c"])], "branch", [], [])
    branch = helper.make_node("If", ["condition"], ["y"], then_branch=inner, else_branch=inner)
    facts = read_graph(made.graph([branch]).SerializeToString())
    assert facts is not None
    assert facts.grid_samples == 2


def test_names_that_are_no_text() -> None:
    nodes = made.decomposed_layernorm()
    data = made.graph(nodes, constants=[made.external("location"), made.integers(2**40)]).SerializeToString()
    for word in (b"Conv", b"output0", b"person", b"names", b"integers", b"/norm/", b"location", b"images"):
        assert word in data
        data = data.replace(word, b"\xff" * len(word))
    facts = read_graph(data)
    assert facts is not None
    assert facts.outputs[0].name == r"\xff" * 7
    assert facts.wide_constants == (r"\xff" * 8,)


def test_more_nodes_than_any_network_has() -> None:
    model = made.graph()
    model.graph.node.extend([NodeProto() for _ in range(graph_facts.MOST_NODES)])
    assert read_graph(model.SerializeToString()) is None


def test_constants_count_as_weights() -> None:
    values = helper.make_tensor("t", TensorProto.FLOAT, [1000], [0.0] * 1000)
    facts = read_graph(
        made.graph([helper.make_node("Constant", [], ["c"], value=values)]).SerializeToString()
    )
    assert facts is not None
    assert facts.half_share == pytest.approx(216 / 1216)


def large(tmp_path: Path, *constants: Any) -> tuple[Path, bytes]:
    """A graph that is read without its weights' values, its size apart."""
    data = made.graph(constants=constants).SerializeToString()
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    return path, data


def test_weights_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slim_onnx, "WHOLE", 0)
    values = numpy_helper.from_array(np.ones(1 << 16, np.float32), "large")
    path, data = large(tmp_path, values, made.integers(2**40), made.external("x"))
    with path.open("rb") as file:
        slimmed = slim_onnx.slim(file)
    assert len(slimmed) < len(data) - (1 << 18)
    assert read_graph(slimmed) == read_graph(data)
    assert read_graph(data) is not None


@pytest.mark.parametrize("keep", [1, 10, 100, 300, -100, -1])
def test_a_graph_cut_off_is_malformed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: int) -> None:
    monkeypatch.setattr(slim_onnx, "WHOLE", 0)
    path, data = large(tmp_path)
    path.write_bytes(data[:keep])
    with path.open("rb") as file, pytest.raises(slim_onnx.Malformed):
        slim_onnx.slim(file)


@pytest.mark.parametrize("data", [b"\xff" * 11, b"\x0b", b"\x3a\xff\xff\xff\xff\x7f", b"\x09\0"])
def test_bytes_that_are_no_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(slim_onnx, "WHOLE", 0)
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    with path.open("rb") as file, pytest.raises(slim_onnx.Malformed):
        slim_onnx.slim(file)


@pytest.mark.parametrize(
    ("limit", "most", "found"), [("LARGEST", 300, "besides"), ("MOST_FIELDS", 9, "fields")]
)
def test_too_much_besides_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, most: int, found: str
) -> None:
    monkeypatch.setattr(slim_onnx, "WHOLE", 0)
    monkeypatch.setattr(slim_onnx, limit, most)
    path, _ = large(tmp_path)
    with path.open("rb") as file, pytest.raises(slim_onnx.Malformed, match=found):
        slim_onnx.slim(file)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("{0: 'a', 1: \"it's\"}", ("a", "it's")),
        ("{1: 'a'}", ()),
        ("__import__('os').system('x')", ()),
        ("", ()),
    ],
)
def test_class_names_of_a_graph_are_read_and_never_run(text: str, names: tuple[str, ...]) -> None:
    model = made.graph()
    helper.set_model_props(model, {"names": text})
    facts = read_graph(model.SerializeToString())
    assert facts is not None
    assert facts.names == names


def test_what_a_run_stores_is_what_is_compared(tmp_path: Path) -> None:
    exported = ExportedModel(
        path=tmp_path,
        sha256="a" * 64,
        weights_sha256="b" * 64,
        family="yolo26",
        head="nms-free",
        precision="fp16",
        input_size=(256, 256),
        names=NAMES,
        signature=Signature(inputs=(), outputs=()),
        opset=17,
        calibration_images=0,
        calibration_sha256="",
        converter="onnxruntime",
        versions={},
        seconds=1.0,
    )
    config = EmbeddedConfig(name="yolo26", text="", max_batch_size=8, outputs={}, production_sha256="c" * 64)
    provenance = {"candidate": {"embedded": embedded._facts(exported, config)}}
    path = tmp_path / "report.json"
    path.write_text(json.dumps({"pairs": [{"model": "yolo26", "provenance": provenance}]}))
    measured = Evidence(tmp_path, tmp_path).of("yolo26")
    assert measured is not None
    assert (measured.network, measured.weights, measured.config) == ("a" * 64, "b" * 64, "c" * 64)
    assert measured.network_precision == "fp16"


def test_the_newest_report_that_knows_the_model(tmp_path: Path) -> None:
    for number, model in enumerate(("yolo26", "yolo26", "other")):
        made.write_report(tmp_path / str(number), model, config=str(number), engine="")
        (tmp_path / str(number) / "reports" / "run").rename(tmp_path / f"run{number}")
        path = tmp_path / f"run{number}" / "report.json"
        path.touch()
        stamp = 1_000_000_000 + number
        os.utime(path, (stamp, stamp))
    (tmp_path / "run3").mkdir()
    (tmp_path / "run3" / "report.json").write_text("[" * 10_000)
    measured = Evidence(None, tmp_path).of("yolo26")
    assert measured is not None
    assert measured.config == "1"
    assert Evidence(None, tmp_path / "none").of("yolo26") is None


def test_class_names_of_data_sets(tmp_path: Path) -> None:
    folder = Path(__file__).resolve().parents[4] / "datasets" / "street"
    assert class_names(DatasetConfig(path=folder)) == NAMES
    yolo = tmp_path / "data.yaml"
    yolo.write_text("names:\n  1: dog\n  0: cat\n")
    assert class_names(DatasetConfig(path=yolo)) == ("cat", "dog")
    yolo.write_text("names: [cat, dog]\n")
    assert class_names(DatasetConfig(path=yolo)) == ("cat", "dog")


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"categories": [{"id": "a"}]}', "\x00", "names: 3", "names: [[a]]"]
)
@pytest.mark.parametrize("name", ["a.json", "a.yaml"])
def test_data_sets_that_tell_no_classes(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(Unreadable):
        class_names(DatasetConfig(path=path))


def test_files_are_limited(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"12345")
    assert read_limited(tmp_path / "large", 5) == b"12345"
    for path in (tmp_path / "large", tmp_path, tmp_path / "none", Path("/dev/zero"), tmp_path / "\0"):
        with pytest.raises(Unreadable):
            read_limited(path, 4)


def test_names_stay_inside(tmp_path: Path) -> None:
    assert inside(tmp_path, "a/b") == tmp_path.resolve() / "a" / "b"
    for name in ("", ".", "..", "../x", "/etc/passwd", "a/../../x", "\0"):
        assert inside(tmp_path, name) is None


def test_a_check_imports_nothing_heavy() -> None:
    """It has a second for ten models, and each of these takes a third of that or more."""
    code = (
        "import sys; from typer.testing import CliRunner; from parity.cli import app;"
        "result = CliRunner().invoke(app, ['repository', 'check', '--allow-unbuilt']);"
        "heavy = {'torch', 'numpy', 'grpc', 'onnx', 'scipy', 'cv2', 'pyarrow', 'tritonclient'};"
        "print(result.exit_code, *(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0"], done.stdout + done.stderr
