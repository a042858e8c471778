"""What `parity config` shows: every setting of a run's candidates, its value, and what that comes from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from parity.config import SECRET, validate
from parity.environment import OPTIONS, THRESHOLD, VARIABLES, Resolved, Source
from parity.errors import UsageError
from parity.policies import for_run
from parity.runners.triton import TritonSettings, connection_of

NAMES = {key: name for name, key in VARIABLES.items()}
UNSET = {
    "url": "none: parity starts a server",
    "http_url": "none: parity starts a server",
    "ca": "none: the system's authorities",
    "token_env": "none: no token",
    "version": "the server's choice",
    "metrics_url": "its own server's",
}
"""What it means that a setting has no value."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One setting.

    models: whose candidate's; empty for one of the whole run. value: as JSON has it, never a secret.
    variable: what sets it in the environment, or empty. unset: what having no value means.
    """

    models: tuple[str, ...]
    key: str
    value: str | float | bool | None
    source: Source
    variable: str
    unset: str = ""

    @property
    def origin(self) -> str:
        """The source by its name: a variable, an option, the run file or nothing."""
        if self.source == "environment":
            return self.variable
        return OPTIONS[self.key] if self.source == "command line" else self.source

    @property
    def shown(self) -> str:
        """The value in words."""
        if self.value is None or self.value == "":
            return self.unset
        return str(self.value).lower() if isinstance(self.value, bool) else str(self.value)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All rows, what a reader should know, and what would keep a run from starting."""

    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    problems: tuple[str, ...]

    def to_json(self) -> str:
        """The same as a document."""
        return json.dumps(asdict(self), indent=2)


def settings_of(resolved: Resolved, variables: Mapping[str, str]) -> Settings:
    """The settings of every model that was resolved.

    variables: the environment, for whether a variable that holds a token is set; its value goes nowhere.
    """
    rows = [_threshold(resolved)]
    notes = list(resolved.hints)
    problems: list[str] = []
    for model, found in resolved.candidates.items():
        settings = validate(TritonSettings, {key: setting.value for key, setting in found.items()})
        sources = {key: setting.source for key, setting in found.items()}
        rows += _rows(model, settings, sources, variables)
        if model in resolved.stand_ins:
            notes.append(f"{model}: Triton is switched off, so the reference answers in its place.")
            continue
        try:
            connection_of(settings)
        except UsageError as error:
            problems.append(f"{model}: {error}")
    notes += [
        f"{model}: its candidate is {runner!r}, which TRITON_* does not concern."
        for model, runner in resolved.others.items()
    ]
    return Settings(rows=tuple(_together(rows)), notes=tuple(notes), problems=tuple(problems))


def _threshold(resolved: Resolved) -> Row:
    policy = f"that of the policy {resolved.run_file.phase!r}"
    own = for_run(resolved.run_file).threshold
    return Row(
        models=(),
        key=THRESHOLD,
        value=own if resolved.threshold.value is None else resolved.threshold.value,
        source=resolved.threshold.source,
        variable=NAMES[THRESHOLD],
        unset=policy,
    )


def _rows(
    model: str, settings: TritonSettings, sources: Mapping[str, Source], variables: Mapping[str, str]
) -> list[Row]:
    rows = []
    meanings = {**UNSET, "model": f"{model}, as in the run file"}
    if settings.url or settings.http_url:
        meanings |= dict.fromkeys(("url", "http_url"), "none")
        meanings["metrics_url"] = "port 8002 of the same host"
    for key, field in TritonSettings.model_fields.items():
        value: Any = getattr(settings, key)
        if isinstance(value, Path):
            value = str(value)
        if field.json_schema_extra == SECRET and value is not None:
            value = f"{value} ({'set' if variables.get(value) else 'NOT SET'})"
        rows.append(
            Row(
                models=(model,),
                key=key,
                value=value,
                source=sources.get(key, "default"),
                variable=NAMES.get(key, ""),
                unset=meanings.get(key, ""),
            )
        )
    return rows


def _together(rows: list[Row]) -> list[Row]:
    """Rows that differ in nothing but the model as one, and those of one setting next to each other."""
    order = [THRESHOLD, *TritonSettings.model_fields]
    found: dict[Row, list[str]] = {}
    for row in sorted(rows, key=lambda row: order.index(row.key)):
        found.setdefault(replace(row, models=()), []).extend(row.models)
    return [replace(row, models=tuple(models)) for row, models in found.items()]
