"""Engine files: Ultralytics' header is stripped and believed only as far as it fits the run file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity.errors import EvidenceError
from parity.progress import Silent
from parity.repository.builders import Built, Wish
from parity.repository.builders.engine_file import EngineFile, metadata_problems, strip
from parity.repository.manifest import BatchProfile
from tests import build_jobs

METADATA: dict[str, Any] = {
    "description": "Ultralytics YOLO26n model",
    "author": "Ultralytics",
    "version": "8.4.190",
    "task": "detect",
    "batch": 8,
    "imgsz": [64, 96],
    "names": {0: "person", 1: "dog"},
    "args": {"batch": 8, "quantize": 16, "dynamic": True},
    "end2end": True,
}


def with_header(metadata: Any, plan: bytes) -> bytes:
    """As `onnx2engine` of Ultralytics writes it: int32 length, JSON, plan."""
    text = json.dumps(metadata)
    return len(text).to_bytes(4, "little", signed=True) + text.encode() + plan


def take(folder: Path, content: bytes, capabilities: tuple[str, ...] = ("8.9",)) -> Built:
    engine = folder / "best.engine"
    engine.write_bytes(content)
    return EngineFile().build(
        build_jobs.job(folder, wish=Wish(capabilities=capabilities, engine=engine)), Silent()
    )


def test_the_header_is_stripped_and_told(tmp_path: Path) -> None:
    built = take(tmp_path, with_header(METADATA, build_jobs.plan()))
    assert built.plan.read_bytes() == build_jobs.plan()
    assert built.profile == BatchProfile(min=1, opt=8, max=8)
    assert built.precision == "fp16"
    assert built.tensorrt_version == "10.16.2.10"
    assert built.versions == {"tensorrt": "10.16.2.10", "ultralytics": "8.4.190"}
    assert built.command.startswith("taken from best.engine of SHA-256 ")


def test_a_plan_without_a_header_is_taken_as_it_is(tmp_path: Path) -> None:
    built = take(tmp_path, build_jobs.plan())
    assert built.plan.read_bytes() == build_jobs.plan()
    assert (built.profile, built.precision) == (None, None)


def test_a_static_engine_takes_its_batch_and_no_other(tmp_path: Path) -> None:
    metadata = {**METADATA, "args": {"half": True, "dynamic": False}}
    built = take(tmp_path, with_header(metadata, build_jobs.plan()))
    assert (built.profile, built.precision) == (BatchProfile(min=8, opt=8, max=8), "fp16")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "an empty file"),
        (build_jobs.plan(b"vtrt"), "a plan of tensorrt-rtx"),
        (build_jobs.plan()[:60], "60 of the 100 bytes"),
        (with_header(METADATA, b""), "an empty file"),
        (with_header(METADATA, build_jobs.plan()[:-1]), "99 of the 100 bytes"),
        (b"\x40\0\0\0{" + b"x" * 80, "its header is damaged"),
        (b"\xff\xff\xff\x7f{" + b"x" * 80, "its header is damaged"),
        (b"\x02\0\0\0{}" + b"no plan", "a file that begins with"),
        (b"PK\x03\x04" + b"\0" * 90, "a zip archive"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, content: bytes, told: str) -> None:
    with pytest.raises(EvidenceError, match=told) as caught:
        take(tmp_path, content)
    assert "best.engine" in str(caught.value)


def test_everything_that_does_not_fit_is_told_at_once(tmp_path: Path) -> None:
    metadata = {
        "task": "segment",
        "batch": 0,
        "imgsz": [640, 640],
        "names": {0: "cat"},
        "args": {"int8": True},
        "end2end": False,
    }
    with pytest.raises(EvidenceError) as caught:
        take(tmp_path, with_header(metadata, build_jobs.plan()))
    said = str(caught.value)
    for part in ("6 problems", "'segment'", "'cat'", "640", "end2end", "quantised to 8", "its batch is 0"):
        assert part in said


def test_a_gpu_has_to_be_named_where_none_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EvidenceError, match="--compute-capability"):
        take(tmp_path, build_jobs.plan(), ())


KEYS = st.sampled_from([*METADATA, "dynamic", "quantize", "half", "int8"])


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from([*METADATA, "dynamic", "quantize"]), inner)
        ),
    )
)
def test_no_metadata_breaks_it(value: Any) -> None:
    sound = {**METADATA, "names": {"0": "person", "1": "dog"}}
    assert metadata_problems(sound, build_jobs.model()) == []
    for key in ("task", "batch", "imgsz", "names", "args", "end2end"):
        problems = metadata_problems({**sound, key: value}, build_jobs.model())
        assert all(isinstance(problem, str) and problem for problem in problems)


@given(st.binary(max_size=200))
def test_no_bytes_break_it(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("engine")
    (folder / "e").write_bytes(content)
    try:
        strip(folder / "e", folder / "p")
    except EvidenceError:
        return
    assert content.endswith((folder / "p").read_bytes())
