"""TRITON_*: defaults, what wins over what, and values that are refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from parity.config import RunFile, RunnerConfig
from parity.environment import OPTIONS, VARIABLES, Resolved, read, resolve
from parity.errors import UsageError

EVERY = {
    "TRITON_ENABLED": "true",
    "TRITON_URL": "gpu:8001",
    "TRITON_HTTP_URL": "gpu:8000",
    "TRITON_PROTOCOL": "http",
    "TRITON_TIMEOUT": "2.5",
    "TRITON_MODEL": "served",
    "TRITON_MAX_RETRIES": "0",
    "TRITON_CONFIDENCE_THRESHOLD": "0.35",
}


def run_file(*models: str, candidate: Mapping[str, Any] | None = None, **own: Any) -> RunFile:
    model = {
        "family": "yolo26",
        "weights": "w.pt",
        "input_size": [64, 64],
        "resize": "letterbox",
        "head": "nms-free",
        "names": ["car"],
    }
    return RunFile.model_validate(
        {
            "dataset": "d",
            "datasets": {"d": {"path": "d"}},
            "models": dict.fromkeys(models or ("a",), model),
            "reference": {"runner": "ultralytics"},
            "candidate": {"runner": "triton", **(candidate or {})},
            **own,
        }
    )


def resolved(
    variables: Mapping[str, str], candidate: Mapping[str, Any] | None = None, **options: Any
) -> Resolved:
    return resolve(run_file(candidate=candidate), ("a",), variables, options)


def settings(found: Resolved, model: str = "a") -> dict[str, Any]:
    return found.run_file.side(model, "candidate").settings


def test_every_variable_has_a_key_and_an_option() -> None:
    assert set(VARIABLES.values()) == set(OPTIONS)
    assert set(EVERY) == set(VARIABLES)


def test_nothing_set_changes_nothing() -> None:
    found = resolved({"TRITON_URL": "", "TRITON_TIMEOUT": "  ", "OTHER": "x"}, {"precision": "fp16"})
    assert settings(found) == {"precision": "fp16"}
    assert found.threshold.value is None and found.threshold.source == "default"
    assert not found.notes and not found.hints and not found.stand_ins


def test_the_environment_fills_in_what_the_run_file_leaves_open() -> None:
    found = resolved(EVERY)
    assert settings(found) == {
        "enabled": True,
        "url": "gpu:8001",
        "http_url": "gpu:8000",
        "protocol": "http",
        "timeout": 2.5,
        "model": "served",
        "retries": 0,
    }
    assert found.run_file.score_threshold == 0.35
    assert {s.source for s in found.candidates["a"].values()} == {"environment"}
    (note,) = found.notes
    assert "TRITON_TIMEOUT=2.5" in note and "TRITON_ENABLED=true" in note


def test_the_run_file_wins_over_the_environment_and_the_command_line_over_both() -> None:
    found = resolved(EVERY, {"timeout": 7.0, "retries": 5}, retries=9, protocol=None)
    assert settings(found)["timeout"] == 7.0 and settings(found)["retries"] == 9
    sources = {key: setting.source for key, setting in found.candidates["a"].items()}
    assert (sources["timeout"], sources["retries"], sources["protocol"]) == (
        "run file",
        "command line",
        "environment",
    )
    own = resolve(run_file(score_threshold=0.6), ("a",), EVERY, {})
    assert (own.run_file.score_threshold, own.threshold.source) == (0.6, "run file")
    said = resolve(run_file(score_threshold=0.6), ("a",), EVERY, {"score_threshold": 0.1})
    assert (said.run_file.score_threshold, said.threshold.source) == (0.1, "command line")


def test_whoever_names_an_address_names_the_server() -> None:
    """Or a run file's gRPC address would be joined by another server's HTTP address."""
    found = resolved(EVERY, {"url": "mine:1"})
    assert settings(found)["url"] == "mine:1" and "http_url" not in settings(found)
    found = resolved(EVERY, {"url": "mine:1", "http_url": "mine:2"}, http_url="theirs:3")
    assert settings(found)["http_url"] == "theirs:3" and "url" not in settings(found)


def test_switched_off_the_reference_stands_in() -> None:
    found = resolved({"TRITON_ENABLED": "false"})
    assert found.stand_ins == {"a"}
    assert found.notes == (
        "a: Triton is switched off; the reference answered in the candidate's place.",
        "From the environment: TRITON_ENABLED=false.",
    )
    assert found.run_file.side("a", "candidate") == found.run_file.side("a", "reference")
    assert not resolved({"TRITON_ENABLED": "no"}, {"enabled": True}).stand_ins, "the run file wins"
    assert not resolved({"TRITON_ENABLED": "0"}, enabled=True).stand_ins
    assert resolved({}, {"enabled": True}, enabled=False).stand_ins == {"a"}


def test_only_candidates_behind_triton_are_concerned() -> None:
    both = run_file(reference={"runner": "triton", "url": "today:8001"})
    found = resolve(both, ("a",), EVERY, {})
    assert found.run_file.side("a", "reference").settings == {"url": "today:8001"}
    other = run_file().model_copy(update={"candidate": RunnerConfig(runner="onnxruntime")})
    found = resolve(other, ("a",), EVERY, {"timeout": 3})
    assert found.others == {"a": "onnxruntime"} and not found.candidates
    assert found.run_file.side("a", "candidate").settings == {}


def test_one_name_is_not_for_several_models() -> None:
    for variables, options, name in (
        ({"TRITON_MODEL": "m"}, {}, "TRITON_MODEL"),
        ({}, {"model": "m"}, "--triton-model"),
    ):
        with pytest.raises(UsageError, match=f"{name} is 'm' for the models a, b"):
            resolve(run_file("a", "b"), ("a", "b"), variables, options)
        assert settings(resolve(run_file("a", "b"), ("b",), variables, options), "b")["model"] == "m"
    named = run_file("a", "b", candidate={"model": "mine"})
    assert settings(resolve(named, ("a", "b"), {"TRITON_MODEL": "m"}, {}))["model"] == "mine"


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("TRITON_ENABLED", ["maybe", "2"]),
        ("TRITON_URL", ["http://gpu:8001", "gpu", "me:secret@gpu:1", "gpu:port"]),
        ("TRITON_HTTP_URL", ["gpu/path:1/2"]),
        ("TRITON_PROTOCOL", ["ftp", "GRPC "]),
        ("TRITON_TIMEOUT", ["abc", "-1", "0", "nan", "inf", "1e9"]),
        ("TRITON_MODEL", ["../m", "a b"]),
        ("TRITON_MAX_RETRIES", ["-1", "1.5", "many", "101"]),
        ("TRITON_CONFIDENCE_THRESHOLD", ["1", "-0.1", "nan", "half"]),
    ],
)
def test_bad_values_are_refused_by_name(name: str, values: list[str]) -> None:
    for value in values:
        with pytest.raises(UsageError, match=name) as caught:
            read({name: value})
        assert caught.value.exit_code == 2


def test_everything_wrong_is_named_at_once() -> None:
    with pytest.raises(UsageError, match="3 problems") as caught:
        read({"TRITON_TIMEOUT": "abc", "TRITON_PROTOCOL": "ftp", "TRITON_MAX_RETRIES": "-1"})
    for name in ("TRITON_TIMEOUT", "TRITON_PROTOCOL", "TRITON_MAX_RETRIES"):
        assert name in str(caught.value)


def test_bad_options_are_refused_by_name() -> None:
    with pytest.raises(UsageError, match="command line: --timeout: ") as caught:
        resolved({}, timeout=-1.0)
    assert caught.value.exit_code == 2


def test_a_misspelt_variable_gets_a_hint_and_another_softwares_does_not() -> None:
    found = resolved({"TRITON_TIMEOUTS": "3", "TRITON_CACHE_DIR": "/c", "TRITON_INTERPRET": "1"})
    assert found.hints == ("TRITON_TIMEOUTS is not known; did you mean TRITON_TIMEOUT?",)


def test_a_password_in_an_address_is_not_shown() -> None:
    with pytest.raises(UsageError) as caught:
        read({"TRITON_URL": "http://user:s3cr3t@host/"})
    assert "TRITON_URL" in str(caught.value) and "s3cr3t" not in str(caught.value)
