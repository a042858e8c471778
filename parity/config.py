"""The run file (`parity.toml`): what is compared with what, validated strictly and all at once."""

from __future__ import annotations

import difflib
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic.config import JsonDict

from parity.errors import UsageError, join_problems

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Family = Literal["yolo26", "rtdetr"]
Resize = Literal["letterbox", "stretch"]
Head = Literal["nms-free", "one-to-many", "rtdetr"]
ImageKind = Literal["grey", "palette", "rgba", "cmyk", "16-bit"]
M = TypeVar("M", bound=BaseModel)
Wire = Literal["grpc", "http"]
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
ModelName = Annotated[str, Field(pattern=NAME_PATTERN)]
Address = Annotated[str, Field(pattern=r"^[^\s/@]+:[0-9]{1,5}$")]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
RetryCount = Annotated[int, Field(ge=0, le=100)]
Threshold = Annotated[float, Field(ge=0, lt=1)]

SECRET: JsonDict = {"secret": True}
"""`json_schema_extra` of a setting whose value is never shown, since a secret may have been put there."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DatasetConfig(_Strict):
    """A data set by its path: a folder with manifest.toml, a COCO annotations file, or a YOLO data.yaml."""

    path: Path = Field(description="Folder with manifest.toml, COCO instances_*.json, or YOLO data.yaml.")
    images: Path | None = Field(None, description="Image folder of a COCO data set; found by itself if near.")
    split: str = Field("val", description="Which split of a YOLO data.yaml.")
    accept: tuple[ImageKind, ...] = Field(
        (), description="Kinds of image besides 8-bit RGB that may be converted as OpenCV does."
    )
    max_megapixels: float = Field(50.0, gt=0, description="Larger images are not decoded.")
    max_megabytes: float = Field(50.0, gt=0, description="Larger files are not read.")


class RunnerConfig(BaseModel):
    """Which runner serves a side; the remaining keys are that runner's own settings."""

    model_config = ConfigDict(extra="allow", frozen=True)
    runner: str = Field(description="Name of a runner, or `module:Class` of your own.")

    @property
    def settings(self) -> dict[str, Any]:
        """The keys besides `runner`."""
        return dict(self.model_extra or {})


class ModelConfig(_Strict):
    """One detector: what both sides must agree on.

    input_size is (height, width) in pixels, each a multiple of 32. names are in the order of class index.
    """

    family: Family
    weights: Path
    input_size: tuple[Annotated[int, Field(ge=32, le=4096)], Annotated[int, Field(ge=32, le=4096)]]
    resize: Resize
    head: Head
    names: tuple[str, ...] = Field(min_length=1)
    nms_iou: float = Field(0.7, gt=0, lt=1, description="NMS threshold of the one-to-many head, both sides.")
    reference: RunnerConfig | None = Field(None, description="Instead of the run file's [reference].")
    candidate: RunnerConfig | None = Field(None, description="Instead of the run file's [candidate].")

    @field_validator("input_size")
    @classmethod
    def _stride(cls, size: tuple[int, int]) -> tuple[int, int]:
        if size[0] % 32 or size[1] % 32:
            raise ValueError(f"height and width must be multiples of 32, found {list(size)}")
        return size

    @field_validator("names")
    @classmethod
    def _distinct(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) != len(names):
            raise ValueError("class names must differ from each other")
        return names

    @model_validator(mode="after")
    def _fits_family(self) -> ModelConfig:
        heads = ("rtdetr",) if self.family == "rtdetr" else ("nms-free", "one-to-many")
        if self.head not in heads:
            raise ValueError(f"head {self.head!r} does not exist for {self.family}; use {' or '.join(heads)}")
        if self.family == "rtdetr" and self.resize != "stretch":
            raise ValueError("RT-DETR stretches its input; use resize = 'stretch'")
        if self.family == "yolo26" and self.resize != "letterbox":
            raise ValueError("YOLO26 letterboxes its input, whatever one asks; use resize = 'letterbox'")
        return self


class RunFile(_Strict):
    """A whole run file. Relative paths are relative to the folder of the file."""

    phase: str = Field("rehearsal", description="Rollout phase whose policy judges the run.")
    policy: Path | None = Field(None, description="Your own policy of that phase, instead of the built-in.")
    dataset: str = Field(description="Which of [datasets] is used.")
    score_floor: float = Field(0.001, ge=0, lt=1, description="Detections at or under it are dropped.")
    max_detections: int = Field(300, ge=1, le=3000, description="Most detections kept an image.")
    score_threshold: Threshold | None = Field(
        None, description="That of production, where F1 and flips are measured; none: the policy's."
    )
    repeat_reference: bool = Field(
        False, description="Run the reference twice, so that the report has its noise floor."
    )
    model_repository: Path = Field(Path("model_repository"), description="The production Triton repository.")
    datasets: dict[Annotated[str, Field(pattern=NAME_PATTERN)], DatasetConfig] = Field(min_length=1)
    models: dict[Annotated[str, Field(pattern=NAME_PATTERN)], ModelConfig] = Field(min_length=1)
    reference: RunnerConfig
    candidate: RunnerConfig

    def side(self, model: str, role: Literal["reference", "candidate"]) -> RunnerConfig:
        """The runner of one side of one model: the model's own, or else the run file's."""
        own: RunnerConfig | None = getattr(self.models[model], role)
        shared: RunnerConfig = getattr(self, role)
        return own or shared


def schema() -> dict[str, Any]:
    """The JSON Schema of a run file, for editors; parity/schemas/ holds it as a file."""
    document = RunFile.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "parity run file",
        **{key: value for key, value in document.items() if key != "title"},
    }


def load(
    path: Path, settings: Mapping[str, type[BaseModel]] | None, phases: tuple[str, ...] | None
) -> RunFile:
    """Read and validate a run file; paths in it come out absolute.

    settings: the settings model of every built-in runner by name. phases: those that have a policy. None for
    either leaves that part of the file unchecked, for those who read only the models and would not wait for
    the import of runners. Raises UsageError that names every mistake at once, with the nearest known name
    where a name is unknown.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"cannot be read: {error.strerror}",
            where=str(path),
            remedy="name a run file: parity run my-run.toml",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"not TOML: {error}", where=str(path)) from error
    problems: list[str] = []
    run_file: RunFile | None = None
    try:
        run_file = validate(RunFile, raw)
    except ValidationError as error:
        problems += [_describe(dict(detail)) for detail in error.errors()]
    problems += _name_problems(raw, phases)
    if settings is not None:
        problems += _runner_problems(raw, settings)
    if problems or run_file is None:
        raise UsageError(
            join_problems(problems),
            where=str(path),
            remedy="docs/run-file.md describes every key of the run file",
        )
    return _absolute(run_file, path.resolve().parent, settings or {})


def validate(model: type[M], values: dict[str, Any]) -> M:
    """Validate without any conversion between types: "8" is no number and "no" is no truth value.

    As JSON, where lists stand for tuples and text for paths. Raises pydantic's ValidationError.
    """
    return model.model_validate_json(json.dumps(values, default=str), strict=True)


def _describe(detail: dict[str, Any]) -> str:
    """One line for one of pydantic's findings, with near names for unknown keys."""
    location = [str(part) for part in detail["loc"]]
    place = ".".join(location)
    if detail["type"] == "extra_forbidden":
        owner: type[BaseModel] = RunFile
        if location[0] in ("datasets", "models") and len(location) > 2:
            owner = DatasetConfig if location[0] == "datasets" else ModelConfig
        return f"{place}: unknown key{hint(location[-1], list(owner.model_fields))}"
    if detail["type"] == "missing":
        return f"{place}: missing"
    message = str(detail["msg"]).removeprefix("Value error, ")
    given = detail.get("input")
    shown = f", found {given!r}" if isinstance(given, (str, int, float, bool)) else ""
    return f"{place}: {message}{shown}"


def _name_problems(raw: dict[str, Any], phases: tuple[str, ...] | None) -> list[str]:
    problems = []
    wanted, known = raw.get("dataset"), raw.get("datasets")
    if isinstance(wanted, str) and isinstance(known, dict) and wanted not in known:
        problems.append(f"dataset: {wanted!r} is not in [datasets]{hint(wanted, known)}")
    phase = raw.get("phase")
    if phases is not None and isinstance(phase, str) and phase not in phases:
        problems.append(f"phase: no policy is called {phase!r}{hint(phase, phases)}")
    return problems


def _runner_problems(raw: dict[str, Any], settings: Mapping[str, type[BaseModel]]) -> list[str]:
    """Unknown runners, and settings that a built-in runner does not take."""
    problems: list[str] = []
    places = [("", raw)]
    models = raw.get("models")
    if isinstance(models, dict):
        places += [(f"models.{name}.", table) for name, table in models.items() if isinstance(table, dict)]
    for prefix, table in places:
        for role in ("reference", "candidate"):
            side = table.get(role)
            if not isinstance(side, dict) or not isinstance(side.get("runner"), str):
                continue  # pydantic has said what is wrong with it
            name, place = side["runner"], f"{prefix}{role}"
            if ":" in name:
                continue  # a user's own runner checks its settings when it is imported
            if name not in settings:
                known = hint(name, settings)
                problems.append(
                    f"{place}.runner: no runner is called {name!r}{known}; your own is `module:Class`"
                )
                continue
            problems += settings_problems(
                settings[name], {k: v for k, v in side.items() if k != "runner"}, place
            )
    return problems


def settings_problems(model: type[BaseModel], values: dict[str, Any], place: str) -> list[str]:
    """What is wrong with a runner's settings, one line each."""
    try:
        validate(model, values)
    except ValidationError as error:
        lines = []
        for detail in error.errors():
            key = ".".join(map(str, detail["loc"]))
            if detail["type"] == "extra_forbidden":
                lines.append(f"{place}.{key}: unknown key{hint(key, list(model.model_fields))}")
            elif _is_secret(model, key):
                lines.append(f"{place}.{key}: {detail['msg']} (the value is not shown)")
            else:
                message = str(detail["msg"]).removeprefix("Value error, ")
                lines.append(f"{place}.{key}: {message}{told(detail['input'])}")
        return lines
    return []


def told(value: Any) -> str:
    """`, found ...`, of a setting's value; user and password of an address, and its query, are not shown."""
    if not isinstance(value, (str, int, float, bool)):
        return ""
    return ", found " + re.sub(r"\?\S*", "?***", re.sub(r"(//|^['\"])\S*@", r"\1***@", repr(value)))


def _is_secret(model: type[BaseModel], key: str) -> bool:
    field = model.model_fields.get(key)
    return field is not None and field.json_schema_extra == SECRET


def _absolute(run_file: RunFile, base: Path, settings: Mapping[str, type[BaseModel]]) -> RunFile:
    """The same run file with every path absolute, seen from the folder of the file."""

    def side(config: RunnerConfig) -> RunnerConfig:
        return config.model_copy(update=_paths(config, base, settings))

    datasets = {
        name: d.model_copy(update={"path": base / d.path, "images": base / d.images if d.images else None})
        for name, d in run_file.datasets.items()
    }
    models = {
        name: m.model_copy(
            update={
                "weights": base / m.weights,
                "reference": side(m.reference) if m.reference else None,
                "candidate": side(m.candidate) if m.candidate else None,
            }
        )
        for name, m in run_file.models.items()
    }
    return run_file.model_copy(
        update={
            "datasets": datasets,
            "models": models,
            "model_repository": base / run_file.model_repository,
            "policy": base / run_file.policy if run_file.policy else None,
            "reference": side(run_file.reference),
            "candidate": side(run_file.candidate),
        }
    )


def _paths(config: RunnerConfig, base: Path, settings: Mapping[str, type[BaseModel]]) -> dict[str, str]:
    """Those settings of a built-in runner that are paths, made absolute."""
    known = settings.get(config.runner)
    fields = known.model_fields if known else {}
    paths = {k for k, f in fields.items() if Path in (f.annotation, *get_args(f.annotation))}
    return {key: str(base / str(value)) for key, value in config.settings.items() if key in paths}


def hint(word: str, known: Mapping[str, Any] | tuple[str, ...] | list[str]) -> str:
    """`; did you mean 'x'?`, or the list of what exists when nothing is near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(sorted(known))}"
