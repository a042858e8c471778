"""From a detection service's JSON to boxes in pixels of the original image. Pure functions.

Services agree on nothing but JSON, so the run file says where everything stands. What does not fit that
description is an error that names the place, never a detection less.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from parity.config import hint
from parity.runners.base import RunnerSettings
from parity.runners.decode import Decoded
from parity.visible import one_line

BoxFormat = Literal["xyxy", "xywh", "cxcywh"]
SHOWN = 60
"""Characters of a value that a message shows."""


class AnswerError(ValueError):
    """An answer that is not what the run file describes. remedy: the setting to look at."""

    def __init__(self, found: str, remedy: str) -> None:
        super().__init__(found)
        self.found = found
        self.remedy = remedy


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
                f"not JSON: {_shown(body[:SHOWN].decode(errors='replace'))}",
                "point `path` at the endpoint that answers with detections",
            ) from error
        found = self._list(document)
        rows = np.array([self._row(item, f"{self._place}[{i}]") for i, item in enumerate(found)], np.float64)
        return self._decoded(rows.reshape(-1, 6), width, height)

    @property
    def _place(self) -> str:
        return self.settings.list_field or "answer"

    def _list(self, document: Any) -> list[Any]:
        name = self.settings.list_field
        found = _at(document, name, "the answer", "list_field") if name else document
        if not isinstance(found, list):
            raise AnswerError(
                f"{self._place} is {_kind(found)}, expected a list of detections",
                "name the list with `list_field`",
            )
        return found

    def _row(self, item: Any, place: str) -> tuple[float, ...]:
        """One detection as four numbers of its box, score and class index."""
        score = _number(
            _at(item, self.settings.score_field, place, "score_field"),
            f"{place}.{self.settings.score_field}",
            "score_field",
        )
        if math.isfinite(score) and not 0 <= score <= 1:
            raise AnswerError(
                f"{place}.{self.settings.score_field} is {score:g}, expected a score from 0 to 1",
                "name the score with `score_field`",
            )
        return (*self._box(item, place), score, self._class(item, place))

    def _box(self, item: Any, place: str) -> list[float]:
        names = self.settings.box_names
        if len(names) == 4:
            return [_number(_at(item, n, place, "box_field"), f"{place}.{n}", "box_field") for n in names]
        box = _at(item, names[0], place, "box_field")
        place = f"{place}.{names[0]}"
        if not isinstance(box, list) or len(box) != 4:
            size = f"a list of {len(box)}" if isinstance(box, list) else _kind(box)
            raise AnswerError(
                f"{place} is {size}, expected four numbers",
                "name the box with `box_field`: a list of four numbers, or four names with commas between",
            )
        return [_number(value, f"{place}[{i}]", "box_field") for i, value in enumerate(box)]

    def _class(self, item: Any, place: str) -> int:
        """The class index. A class cannot be left out as a NaN is: nothing else tells what was seen."""
        value = _at(item, self.settings.class_field, place, "class_field")
        place = f"{place}.{self.settings.class_field}"
        if self.settings.class_as == "name":
            if not isinstance(value, str):
                raise AnswerError(
                    f"{place} is {_kind(value)}, expected a class name",
                    'set `class_as` to "id", or name the class with `class_field`',
                )
            if value not in self.names:
                raise AnswerError(
                    f"{place} is {_shown(value)}, which is no class of the model"
                    f"{hint(value[:SHOWN], self.names)}",
                    "mend `names` in the run file, or name the class with `class_field`",
                )
            return self.names.index(value)
        if not isinstance(value, (int, float)) or isinstance(value, bool) or value not in self._indices:
            raise AnswerError(
                f"{place} is {_shown(value)}, expected a class index from 0 to {len(self.names) - 1}",
                'set `class_as` to "name", or name the class with `class_field`',
            )
        return int(value)

    @property
    def _indices(self) -> range:
        return range(len(self.names))

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


def _corners(boxes: NDArray[np.float64], form: BoxFormat) -> NDArray[np.float64]:
    """Any format as corners; in float64, float32 corners that were sent as corner and size come back."""
    if form == "xyxy":
        return boxes
    low = boxes[:, :2] - (boxes[:, 2:] / 2 if form == "cxcywh" else 0)
    return np.concatenate([low, low + boxes[:, 2:]], axis=1)


def _at(value: Any, name: str, place: str, setting: str) -> Any:
    """What stands at a dotted name; numbers in it count into lists."""
    for part in name.split("."):
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and len(part) < 10 and int(part) < len(value):
            value = value[int(part)]
        else:
            missing = repr(part) if part == name else f"{part!r} of {name!r}"
            keys = ", ".join(map(_shown, list(value)[:12])) if isinstance(value, dict) else _kind(value)
            raise AnswerError(
                f"{place} has no {missing}, but {keys or 'nothing'}", f"mend `{setting}` in the run file"
            )
    return value


def _number(value: Any, place: str, setting: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        null = "; some JSON writers put null for NaN" if value is None else ""
        raise AnswerError(f"{place} is {_kind(value)}, expected a number{null}", f"mend `{setting}`")
    try:
        return float(value)
    except OverflowError:  # an integer beyond all floats
        return math.inf


def _kind(value: Any) -> str:
    """What a JSON value is, and which one where that is short."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return _shown(value)


def _shown(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    text = one_line(repr(value) if isinstance(value, str) else str(value))
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
