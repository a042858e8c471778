"""TRITON_* of the environment, the run file and the command line, put together. Pure.

One rule: the run file wins over the environment, and the command line over both. It holds for every
candidate whose runner is `triton`; a reference is what its run file says and nothing else, since a variable
that named one server for both sides would compare it with itself.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from parity.config import (
    Address,
    ModelName,
    RetryCount,
    RunFile,
    RunnerConfig,
    Seconds,
    Threshold,
    Wire,
    told,
)
from parity.errors import UsageError, join_problems

Source = Literal["default", "environment", "run file", "command line"]
TRITON = "triton"
ADDRESSES = frozenset({"url", "http_url"})
"""They name one server, so that whoever names one of them names both."""

THRESHOLD = "score_threshold"
VARIABLES = {
    "TRITON_ENABLED": "enabled",
    "TRITON_URL": "url",
    "TRITON_HTTP_URL": "http_url",
    "TRITON_PROTOCOL": "protocol",
    "TRITON_TIMEOUT": "timeout",
    "TRITON_MODEL": "model",
    "TRITON_MAX_RETRIES": "retries",
    "TRITON_CONFIDENCE_THRESHOLD": THRESHOLD,
}
"""Variables, and the keys of the run file that they stand for: the candidate's, and the last its own."""

OPTIONS = {
    "enabled": "--triton/--no-triton",
    "url": "--triton-url",
    "http_url": "--triton-http-url",
    "protocol": "--triton-protocol",
    "timeout": "--timeout",
    "model": "--triton-model",
    "retries": "--retries",
    THRESHOLD: "--score-threshold",
}


class _Values(BaseModel):
    """What variables and options may hold; the same types as in the run file."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    enabled: bool | None = None
    url: Address | None = None
    http_url: Address | None = None
    protocol: Wire | None = None
    timeout: Seconds | None = None
    model: ModelName | None = None
    retries: RetryCount | None = None
    score_threshold: Threshold | None = None


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One value, and what it comes from."""

    value: Any
    source: Source


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """A run file with everything put together, and where it came from.

    run_file: with a candidate of its own for every model that was asked for. candidates: by model, what each
    of its `triton` candidate's settings is and comes from, those that are nowhere set left out. threshold:
    None as value where the policy's holds. stand_ins: models whose candidate is switched off, so that the
    reference answers in its place. others: runners of candidates that TRITON_* does not concern, by model.
    hints: variables that look like misspelt ones.
    """

    run_file: RunFile
    candidates: Mapping[str, Mapping[str, Setting]]
    threshold: Setting
    stand_ins: frozenset[str]
    others: Mapping[str, str]
    hints: tuple[str, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What the environment decided, for a report."""
        taken = {
            key: setting.value
            for settings in (*self.candidates.values(), {THRESHOLD: self.threshold})
            for key, setting in settings.items()
            if setting.source == "environment"
        }
        off = [
            f"{name}: Triton is switched off; the reference answered in the candidate's place."
            for name in sorted(self.stand_ins)
        ]
        told = ", ".join(f"{name}={_text(taken[key])}" for name, key in VARIABLES.items() if key in taken)
        return (*off, *([f"From the environment: {told}."] if told else []))


def read(variables: Mapping[str, str]) -> dict[str, Any]:
    """The values of the TRITON_* variables that are set, by key of the run file; empty ones count as unset.

    Raises UsageError that names every variable with a bad value.
    """
    found = {
        key: variables[name].strip() for name, key in VARIABLES.items() if variables.get(name, "").strip()
    }
    return _parsed(found, {key: name for name, key in VARIABLES.items()}, "environment")


def resolve(
    run_file: RunFile,
    models: tuple[str, ...],
    variables: Mapping[str, str],
    options: Mapping[str, Any],
) -> Resolved:
    """Put environment, run file and command line together for these models.

    options: by key of the run file; None counts as not given. Raises UsageError for bad values, and for one
    model name that several models would share.
    """
    environment = read(variables)
    given = {key: value for key, value in options.items() if value is not None}
    command = _parsed(given, OPTIONS, "command line")

    def merged(own: Mapping[str, Any]) -> dict[str, Setting]:
        return _merged(("environment", environment), ("run file", own), ("command line", command))

    sides = {name: run_file.side(name, "candidate") for name in models}
    candidates = {
        name: {key: setting for key, setting in merged(side.settings).items() if key != THRESHOLD}
        for name, side in sides.items()
        if side.runner == TRITON
    }
    _check_shared_name(candidates)
    own = {} if run_file.score_threshold is None else {THRESHOLD: run_file.score_threshold}
    threshold = merged(own).get(THRESHOLD, Setting(value=None, source="default"))
    off = frozenset(
        name
        for name, settings in candidates.items()
        if "enabled" in settings and settings["enabled"].value is False
    )
    changed = {
        name: run_file.models[name].model_copy(
            update={
                "candidate": run_file.side(name, "reference")
                if name in off
                else RunnerConfig(runner=TRITON, **{key: s.value for key, s in settings.items()})
            }
        )
        for name, settings in candidates.items()
    }
    return Resolved(
        run_file=run_file.model_copy(
            update={"models": {**run_file.models, **changed}, "score_threshold": threshold.value}
        ),
        candidates=candidates,
        threshold=threshold,
        stand_ins=off,
        others={name: side.runner for name, side in sides.items() if name not in candidates},
        hints=_hints(variables),
    )


def _merged(*levels: tuple[Source, Mapping[str, Any]]) -> dict[str, Setting]:
    """Settings of several sources, the strongest last."""
    found: dict[str, Setting] = {}
    for source, values in levels:
        if ADDRESSES & values.keys():
            for key in ADDRESSES:
                found.pop(key, None)
        found.update({key: Setting(value=value, source=source) for key, value in values.items()})
    return found


def _parsed(values: Mapping[str, Any], names: Mapping[str, str], where: str) -> dict[str, Any]:
    """Text as the types of the run file. names: what the reader calls each key."""
    try:
        checked = _Values.model_validate(dict(values))
    except ValidationError as error:
        problems = [
            f"{names[str(detail['loc'][0])]}: {detail['msg']}{told(detail['input'])}"
            for detail in error.errors()
        ]
        raise UsageError(
            join_problems(problems), where=where, remedy="docs/triton.md describes every variable"
        ) from None
    return {key: getattr(checked, key) for key in values}


def _check_shared_name(candidates: Mapping[str, Mapping[str, Setting]]) -> None:
    sharing = [
        name
        for name, settings in candidates.items()
        if "model" in settings and settings["model"].source != "run file"
    ]
    if len(sharing) > 1:
        setting = candidates[sharing[0]]["model"]
        name = "TRITON_MODEL" if setting.source == "environment" else OPTIONS["model"]
        raise UsageError(
            f"{name} is {setting.value!r} for the models {', '.join(sharing)}",
            where=setting.source,
            expected="one model that it is the name of",
            remedy="choose one with --model, or set `model` for each in the run file",
        )


def _hints(variables: Mapping[str, str]) -> tuple[str, ...]:
    """Variables that nobody reads and that look like misspelt ones; other software has TRITON_* too."""
    return tuple(
        f"{name} is not known; did you mean {near[0]}?"
        for name in sorted(variables)
        if name.startswith("TRITON") and name not in VARIABLES
        for near in [difflib.get_close_matches(name, VARIABLES, n=1, cutoff=0.85)]
        if near
    )


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
