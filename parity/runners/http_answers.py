"""From a detection service's JSON to boxes in pixels of the original image. Pure functions.

Services agree on nothing but JSON, so the run file says where everything stands. What does not fit that
description is an error that names the place, never a detection less.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from parity.config import hint
from parity.runners.base import RunnerSettings
from parity.runners.decode import Decoded
from parity.runners.json_fields import SHOWN, AnswerError, JsonField, kind, shown

BoxFormat = Literal["xyxy", "xywh", "cxcywh"]


class AnswerSettings(RunnerSettings):
    """Where an answer has its detections. Names may be dotted: `result.boxes`, `batch.0.boxes`."""

    list_field: str = Field(
        "detections", description="Name of the list of detections; empty: the answer is that list."
    )
    box_field: str = Field(
        "box",
        min_length=1,
        description="Name of a detection's list of four numbers, or four names with commas between.",
    )
    box_format: BoxFormat = Field(
        description="What the four numbers are: two corners; top left corner and size; centre and size."
    )
    normalised: bool = Field(
        False, description="Whether boxes are fractions of the image's width and height, not pixels."
    )
    class_field: str = Field("class_name", min_length=1, description="Name of a detection's class.")
    class_as: Literal["name", "id"] = Field(
        "name", description="Whether the class is one of the model's names or an index into them, from 0."
    )
    score_field: str = Field(
        "confidence", min_length=1, description="Name of a detection's score, a number from 0 to 1."
    )

    @field_validator("box_field")
    @classmethod
    def _one_or_four(cls, names: str) -> str:
        parts = [part.strip() for part in names.split(",")]
        if len(parts) not in (1, 4) or not all(parts):
            raise ValueError("one name, or four with commas between them")
        return names

    @property
    def box_names(self) -> tuple[str, ...]:
        """One name of a list, or four names of numbers."""
        return tuple(part.strip() for part in self.box_field.split(","))


@dataclass(frozen=True, kw_only=True)
class AnswerReader:
    """Reads the answers of one service for one model.

    names: the model's class names in the order of class index. Detections with a score not above
    score_floor are dropped, and at most max_detections are kept, those with the highest scores.
    """

    settings: AnswerSettings
    names: tuple[str, ...]
    score_floor: float
    max_detections: int

    def read(self, body: bytes, *, width: int, height: int) -> Decoded:
        """Decode one answer. width, height: of the image in pixels, upright.

        A detection with a NaN or infinite number is left out and counted, as everywhere. Raises AnswerError.
        """
        try:
            document = json.loads(body)
        except RecursionError as error:
            raise AnswerError("JSON that is nested too deeply", "see what the service answers") from error
        except ValueError as error:  # no JSON, no UTF-8, or an integer of thousands of digits
            raise AnswerError(
                f"not JSON: {shown(body[:SHOWN].decode(errors='replace'))}",
                "point `path` at the endpoint that answers with detections",
            ) from error
        rows = np.array([self._row(item, i) for i, item in enumerate(self._list(document))], np.float64)
        return self._decoded(rows.reshape(-1, 6), width, height)

    @cached_property
    def _fields(self) -> _Fields:
        return _Fields.of(self.settings)

    def _list(self, document: Any) -> list[Any]:
        name = self.settings.list_field
        try:
            found = JsonField(name=name, setting="list_field").get(document) if name else document
        except AnswerError as error:
            raise error.within("the answer") from error
        if not isinstance(found, list):
            raise AnswerError(
                f"{name or 'the answer'} is {kind(found)}, expected a list of detections",
                "name the list with `list_field`",
            )
        return found

    def _row(self, item: Any, index: int) -> tuple[float, ...]:
        """One detection as four numbers of its box, score and class index."""
        fields = self._fields
        try:
            score = fields.score.number(item)
            if math.isfinite(score) and not 0 <= score <= 1:
                raise AnswerError(
                    f".{fields.score.name} is {score:g}, expected a score from 0 to 1",
                    "name the score with `score_field`",
                )
            box = fields.box
            numbers = box[0].numbers(item, 4) if len(box) == 1 else [field.number(item) for field in box]
            return (*numbers, score, self._class(fields.label.get(item)))
        except AnswerError as error:
            raise error.within(f"{self.settings.list_field or 'answer'}[{index}]") from error

    def _class(self, value: Any) -> int:
        """The class index. A class cannot be left out as a NaN is: nothing else tells what was seen."""
        place = f".{self.settings.class_field}"
        if self.settings.class_as == "name":
            if not isinstance(value, str):
                raise AnswerError(
                    f"{place} is {kind(value)}, expected a class name",
                    'set `class_as` to "id", or name the class with `class_field`',
                )
            if value not in self.names:
                near = hint(value[:SHOWN], self.names)
                raise AnswerError(
                    f"{place} is {shown(value)}, which is no class of the model{near}",
                    "mend `names` in the run file, or name the class with `class_field`",
                )
            return self.names.index(value)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or value not in range(len(self.names)):
            raise AnswerError(
                f"{place} is {kind(value)}, expected a class index from 0 to {len(self.names) - 1}",
                'set `class_as` to "name", or name the class with `class_field`',
            )
        return int(value)

    def _decoded(self, rows: NDArray[np.float64], width: int, height: int) -> Decoded:
        with np.errstate(invalid="ignore", over="ignore"):  # what float32 cannot hold counts as infinite
            boxes = _corners(rows[:, :4], self.settings.box_format)
            if self.settings.normalised:
                boxes = boxes * np.array([width, height] * 2, np.float64)
            numbers = np.column_stack([boxes, rows[:, 4]]).astype(np.float32)
        finite = np.isfinite(numbers).all(axis=1)
        keep = np.flatnonzero(finite & (numbers[:, 4] > np.float32(self.score_floor)))
        keep = keep[np.argsort(-numbers[keep, 4], kind="stable")][: self.max_detections]
        return Decoded(
            boxes=np.ascontiguousarray(numbers[keep, :4]),
            scores=np.ascontiguousarray(numbers[keep, 4]),
            classes=rows[keep, 5].astype(np.int64),
            nonfinite=int(np.count_nonzero(~finite)),
        )


@dataclass(frozen=True, kw_only=True)
class _Fields:
    """Where a detection has its parts. box: a list's field, or four fields of numbers."""

    box: tuple[JsonField, ...]
    label: JsonField
    score: JsonField

    @classmethod
    def of(cls, settings: AnswerSettings) -> _Fields:
        """Those that the run file names."""
        return cls(
            box=tuple(JsonField(name=name, setting="box_field") for name in settings.box_names),
            label=JsonField(name=settings.class_field, setting="class_field"),
            score=JsonField(name=settings.score_field, setting="score_field"),
        )


def _corners(boxes: NDArray[np.float64], form: BoxFormat) -> NDArray[np.float64]:
    """Any format as corners; in float64, float32 corners that were sent as corner and size come back."""
    if form == "xyxy":
        return boxes
    low = boxes[:, :2] - (boxes[:, 2:] / 2 if form == "cxcywh" else 0)
    return np.concatenate([low, low + boxes[:, 2:]], axis=1)
