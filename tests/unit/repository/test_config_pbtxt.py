"""config.pbtxt: what is read, what is refused, and what the rehearsal makes of production's."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from parity.errors import EvidenceError, UsageError
from parity.repository.config_pbtxt import EmbeddedConfig, derive_embedded, parse, read
from parity.repository.precision import Signature, TensorSpec

REPOSITORY = Path(__file__).resolve().parents[3] / "model_repository"


def signature(
    output: tuple[int, ...] = (300, 6),
    *,
    size: int = 256,
    names: tuple[str, str] = ("images", "output0"),
    datatype: str = "FP32",
) -> Signature:
    return Signature(
        inputs=(TensorSpec(name=names[0], datatype=datatype, dims=(3, size, size)),),
        outputs=(TensorSpec(name=names[1], datatype="FP32", dims=output),),
    )


def changed(tmp_path: Path, old: str, new: str) -> Path:
    """A repository whose yolo26 differs from the committed one by one replacement."""
    folder = tmp_path / "yolo26"
    shutil.copytree(REPOSITORY / "yolo26", folder)
    text = (folder / "config.pbtxt").read_text()
    assert old in text
    (folder / "config.pbtxt").write_text(text.replace(old, new))
    return tmp_path


def message(config: EmbeddedConfig) -> Any:
    return parse(config.text, "embedded")


@pytest.mark.parametrize(("name", "dims"), [("yolo26", [300, 6]), ("rtdetr", [100, 6])])
def test_the_committed_configurations(name: str, dims: list[int]) -> None:
    config = read(REPOSITORY / name)
    assert (config.name, config.platform, config.max_batch_size) == (name, "tensorrt_plan", 8)
    assert list(config.input[0].dims) == [3, 256, 256]
    assert list(config.output[0].dims) == dims
    assert list(config.dynamic_batching.preferred_batch_size) == [4, 8]
    assert config.dynamic_batching.max_queue_delay_microseconds > 0
    assert [warmup.batch_size for warmup in config.model_warmup] == [1, 8]
    labels = (REPOSITORY / name / config.output[0].label_filename).read_text().splitlines()
    assert labels == config.parameters["names"].string_value.split(",")
    assert len(labels) == 8
    assert not list((REPOSITORY / name).rglob("*.plan")), "engines are not committed"


def test_only_backend_and_instances_differ() -> None:
    production = read(REPOSITORY / "yolo26")
    config = derive_embedded(REPOSITORY, "yolo26", signature())
    embedded = message(config)
    assert embedded.backend == "python"
    assert embedded.instance_group[0].count == 1
    assert "KIND_CPU" in config.text
    for field in ("platform", "backend", "instance_group", "version_policy"):
        production.ClearField(field)
        embedded.ClearField(field)
    assert embedded == production
    assert config.notes == ()
    assert len(config.production_sha256) == 64
    assert config.files["labels.txt"].splitlines()[-1] == "dog"


def test_dims_come_from_the_network_with_a_note() -> None:
    config = derive_embedded(REPOSITORY, "yolo26", signature((12, 1344)))
    assert config.outputs == {"output0": (12, 1344)}
    assert list(message(config).output[0].dims) == [12, 1344]
    assert config.notes == ("output0 is [12, 1344] in the exported network, [300, 6] in production",)


def test_another_input_size_reaches_the_warm_up() -> None:
    config = derive_embedded(REPOSITORY, "yolo26", signature(size=320))
    embedded = message(config)
    assert list(embedded.input[0].dims) == [3, 320, 320]
    assert [list(w.inputs["images"].dims) for w in embedded.model_warmup] == [[3, 320, 320]] * 2
    assert len(config.notes) == 1


def test_a_dynamic_dimension_in_production_fits(tmp_path: Path) -> None:
    repository = changed(tmp_path, "dims: [ 300, 6 ]", "dims: [ -1, 6 ]")
    config = derive_embedded(repository, "yolo26", signature())
    assert config.notes == ()
    assert config.outputs == {"output0": (-1, 6)}


def test_other_tensor_names_are_an_error() -> None:
    with pytest.raises(EvidenceError) as caught:
        derive_embedded(REPOSITORY, "yolo26", signature(names=("image", "boxes")))
    text = str(caught.value)
    assert "2 problems" in text
    assert "['images']" in text
    assert "['boxes']" in text
    assert "config.pbtxt" in text


def test_another_type_is_an_error() -> None:
    with pytest.raises(EvidenceError, match="TYPE_FP32, the exported network has TYPE_FP16"):
        derive_embedded(REPOSITORY, "yolo26", signature(datatype="FP16"))


def test_without_production_the_network_decides(tmp_path: Path) -> None:
    config = derive_embedded(tmp_path, "mine", signature((8, 21)), labels=("a", "b"), threads=2)
    embedded = message(config)
    assert (embedded.name, embedded.backend, embedded.max_batch_size) == ("mine", "python", 8)
    assert list(embedded.output[0].dims) == [8, 21]
    assert embedded.output[0].label_filename == "labels.txt"
    assert config.files == {"labels.txt": "a\nb\n"}
    assert embedded.parameters["intra_op_threads"].string_value == "2"
    assert config.notes == ("no production configuration",)
    assert config.production_sha256 == ""


def test_what_needs_a_gpu_is_left_out(tmp_path: Path) -> None:
    repository = changed(
        tmp_path,
        "version_policy { latest { num_versions: 1 } }",
        "version_policy { specific { versions: [ 3 ] } }\n"
        "optimization { graph { level: 1 } }\n"
        'default_model_filename: "engine.plan"',
    )
    config = derive_embedded(repository, "yolo26", signature())
    embedded = message(config)
    assert not embedded.HasField("optimization")
    assert embedded.default_model_filename == ""
    assert not embedded.HasField("version_policy")
    assert "version" in config.notes[0]


def test_a_warm_up_from_files_is_left_out(tmp_path: Path) -> None:
    repository = changed(tmp_path, "zero_data: true", 'input_data_file: "street.raw"')
    config = derive_embedded(repository, "yolo26", signature())
    assert not message(config).model_warmup
    assert "warm-up" in config.notes[0]


def test_broken_text_names_file_line_and_column(tmp_path: Path) -> None:
    repository = changed(tmp_path, "max_batch_size: 8", "max_batch_sizes: 8")
    line = 1 + next(
        i
        for i, text in enumerate((repository / "yolo26" / "config.pbtxt").read_text().splitlines())
        if text.startswith("max_batch_sizes")
    )
    with pytest.raises(UsageError, match="max_batch_sizes") as caught:
        read(repository / "yolo26")
    assert f"config.pbtxt:{line}:1" in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ('name: "yolo26"', 'name: "yolo27"', "'yolo27'"),
        ("max_batch_size: 8", "max_batch_size: 0", "max_batch_size is 0"),
        (
            "dynamic_batching {",
            "sequence_batching { }\nparameters { key: 'x' }\n#",
            "unexpected|Message|Expected",
        ),
        ('label_filename: "labels.txt"', 'label_filename: "../../secret"', "leaves"),
        ('label_filename: "labels.txt"', 'label_filename: "none.txt"', "cannot be read"),
        ("TYPE_FP32", "TYPE_FP31", "TYPE_FP31"),
    ],
)
def test_mistakes_in_production_are_told(tmp_path: Path, old: str, new: str, found: str) -> None:
    repository = changed(tmp_path, old, new)
    with pytest.raises(UsageError, match=found) as caught:
        derive_embedded(repository, "yolo26", signature())
    assert "config.pbtxt" in str(caught.value)


def test_a_folder_without_configuration(tmp_path: Path) -> None:
    (tmp_path / "yolo26").mkdir()
    with pytest.raises(UsageError, match="cannot be read"):
        derive_embedded(tmp_path, "yolo26", signature())


def test_an_ensemble_is_no_detector(tmp_path: Path) -> None:
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "config.pbtxt").write_text(
        'platform: "ensemble" max_batch_size: 8 input { name: "images" data_type: TYPE_FP32 dims: [3] }'
        ' output { name: "output0" data_type: TYPE_FP32 dims: [6] } ensemble_scheduling { }'
    )
    with pytest.raises(UsageError, match="ensemble_scheduling"):
        read(tmp_path / "e")
