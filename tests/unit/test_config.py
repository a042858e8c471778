"""A run file is refused with every mistake named at once, or taken whole."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from parity import policies, runners
from parity.config import RunFile, hint, load, schema
from parity.errors import UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

GOOD = """
dataset = "street"
[datasets.street]
path = "data"
[models.yolo]
family = "yolo26"
weights = "w.pt"
input_size = [256, 256]
resize = "letterbox"
head = "nms-free"
names = ["car", "dog"]
[reference]
runner = "ultralytics"
[candidate]
runner = "triton"
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "parity.toml"
    path.write_text(text)
    return path


def mistakes(tmp_path: Path, text: str) -> str:
    with pytest.raises(UsageError) as caught:
        load(write(tmp_path, text), runners.SETTINGS, policies.phases())
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_a_good_file_loads_with_absolute_paths(tmp_path: Path) -> None:
    run_file = load(write(tmp_path, GOOD), runners.SETTINGS, policies.phases())
    assert isinstance(run_file, RunFile)
    assert run_file.models["yolo"].weights == tmp_path / "w.pt"
    assert run_file.datasets["street"].path == tmp_path / "data"
    assert run_file.model_repository == tmp_path / "model_repository"
    assert run_file.side("yolo", "candidate").runner == "triton"
    assert run_file.score_floor == 0.001
    assert run_file.max_detections == 300


def test_a_model_may_have_a_runner_of_its_own(tmp_path: Path) -> None:
    text = GOOD.replace(
        'names = ["car", "dog"]', 'names = ["car", "dog"]\ncandidate = {runner = "my.module:Mine", x = 1}'
    )
    side = load(write(tmp_path, text), runners.SETTINGS, policies.phases()).side("yolo", "candidate")
    assert side.runner == "my.module:Mine"
    assert side.settings == {"x": 1}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('dataset = "street"', 'dataset = "stret"', "'stret' is not in [datasets]; did you mean 'street'?"),
        (
            'dataset = "street"',
            'dataset = "street"\nphaze = "x"',
            "phaze: unknown key; did you mean 'phase'?",
        ),
        (
            'path = "data"',
            'path = "data"\nsplitt = "x"',
            "datasets.street.splitt: unknown key; did you mean 'split'?",
        ),
        ('head = "nms-free"', 'hed = "nms-free"', "did you mean 'head'?"),
        ('head = "nms-free"', 'head = "rtdetr"', "head 'rtdetr' does not exist for yolo26"),
        ('family = "yolo26"', 'family = "yolo27"', "models.yolo.family"),
        ("[256, 256]", "[250, 256]", "multiples of 32"),
        ("[256, 256]", "256", "models.yolo.input_size"),
        ('["car", "dog"]', '["car", "car"]', "must differ"),
        ('["car", "dog"]', "[]", "models.yolo.names"),
        ('runner = "triton"', 'runner = "trition"', "no runner is called 'trition'; did you mean 'triton'?"),
        (
            'runner = "triton"',
            'runner = "triton"\nin_flght = 3',
            "candidate.in_flght: unknown key; did you mean 'in_flight'?",
        ),
        ('runner = "triton"', 'runner = "triton"\nin_flight = "many"', "candidate.in_flight"),
        ('runner = "triton"', "", "candidate.runner: missing"),
        ('weights = "w.pt"', "weights = 3", "models.yolo.weights"),
        ("[models.yolo]", '[models."../x"]', "models"),
        ('dataset = "street"', 'dataset = "street"\nphase = "rehersal"', "did you mean 'rehearsal'?"),
        ('dataset = "street"', 'dataset = "street"\nmax_detections = "300"', "max_detections"),
        ('dataset = "street"', 'dataset = "street"\nscore_floor = false', "score_floor"),
        ('path = "data"', 'path = "data"\nmax_megapixels = inf', "max_megapixels"),
        ("[256, 256]", '["256", 256]', "models.yolo.input_size"),
        ('"letterbox"', '"stretch"', "YOLO26 letterboxes"),
        ('runner = "ultralytics"', 'runner = "ultralytics"\nrect = "no"', "reference.rect"),
        ('runner = "triton"', 'runner = "triton"\nurl = "http://x:1"', "candidate.url"),
        ('runner = "triton"', 'runner = "triton"\nurl = "me:secret@x:1"', "candidate.url"),
        ('runner = "triton"', 'runner = "triton"\nmodel = "../x"', "candidate.model"),
        ('runner = "triton"', 'runner = "triton"\ntimeout = inf', "candidate.timeout"),
    ],
)
def test_each_mistake_is_named(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in GOOD
    assert words in mistakes(tmp_path, GOOD.replace(old, new))


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    text = GOOD.replace('dataset = "street"', 'dataset = "x"\nscore_floor = 2').replace(
        '"triton"', '"tritton"'
    )
    said = mistakes(tmp_path, text.replace('head = "nms-free"', "hed = 1"))
    for words in ("5 problems", "'x' is not in", "score_floor", "tritton", "hed: unknown", "head: missing"):
        assert words in said


@pytest.mark.parametrize("text", ["", "dataset = ", "\x00", "a = 1"])
def test_not_a_run_file(tmp_path: Path, text: str) -> None:
    assert "parity.toml" in mistakes(tmp_path, text)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load(tmp_path / "gone.toml", runners.SETTINGS, policies.phases())


@pytest.mark.parametrize("path", ["parity.toml", "demo/fp16.toml", "demo/int8.toml"])
def test_the_run_files_of_this_repository_are_valid(path: str) -> None:
    run_file = load(Path(path), runners.SETTINGS, policies.phases())
    assert set(run_file.models) == {"yolo26", "rtdetr"}
    assert run_file.datasets["street"].path.resolve() == Path("datasets/street").resolve()


def test_hint_lists_what_is_known_when_nothing_is_near() -> None:
    known: dict[str, Any] = {"alpha": 1, "beta": 2}
    assert hint("zzz", known) == "; known: alpha, beta"


def test_the_schema_for_editors_is_up_to_date(request: pytest.FixtureRequest) -> None:
    path = Path("parity/schemas/run-file.schema.json")
    text = json.dumps(schema(), indent=2) + "\n"
    if request.config.getoption("--update-golden"):
        path.write_text(text, "utf-8")
    assert path.read_text("utf-8") == text, "if that is meant: pytest --update-golden"


def test_the_schema_takes_the_runners_settings_and_refuses_strangers() -> None:
    good = tomllib.loads(GOOD)
    jsonschema.validate(good, schema())
    for table in (good, good["models"]["yolo"], good["datasets"]["street"]):
        table["stranger"] = 1
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(good, schema())
        del table["stranger"]


def test_paths_among_a_runners_settings_start_from_the_run_file(tmp_path: Path) -> None:
    text = GOOD.replace('runner = "triton"', 'runner = "onnxruntime"\nonnx = "nets/a.onnx"')
    run_file = load(write(tmp_path, text), runners.SETTINGS, policies.phases())
    assert run_file.candidate.settings["onnx"] == str(tmp_path / "nets" / "a.onnx")
