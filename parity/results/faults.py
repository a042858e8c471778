"""Says what is wrong with a list of detections that the decoder refused.

The decoder stops at its first complaint. This goes through the elements one by one, in no hurry, and
counts what is wrong with each.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import msgspec

from parity.dataset.coco import is_int, is_number
from parity.errors import EvidenceError, first_line
from parity.results.findings import EXPECTED, FEW, Findings, detections, listed, shortened


class Detection(msgspec.Struct, gc=False):
    """One element of the list; other fields are skipped.

    file_name: what Ultralytics adds; anything at all elsewhere.
    """

    image_id: int | str
    category_id: int
    score: float
    bbox: tuple[float, float, float, float]
    file_name: Any = None


MOST_EXAMINED = 2_000_000
"""Elements that are gone through; by then a file that is no list of detections is known."""

_ELEMENT = msgspec.json.Decoder(Detection)
_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])
_TOKENS = re.compile(rb'"|\\.|-?\b(?:NaN|Infinity)\b', re.DOTALL)
_STAND_INS = {
    r'"\u007f"': "NaN",
    r'"-\u007f"': "NaN",
    r'"\u007fnfini"': "Infinity",
    r'"-\u007fnfini"': "-Infinity",
}
"""The literals as `_quoted` makes them into strings, as json.dumps shows those; no real text has them."""


def explain(path: Path, data: bytes, error: Exception) -> EvidenceError:
    """The error to raise for `data`, which the decoder refused with `error`."""
    if data.startswith(b"PAR1"):
        return EvidenceError(
            "a Parquet file",
            where=str(path),
            expected=EXPECTED,
            remedy="parity's own tables are called <role>.detections.parquet",
        )
    text, literals = _quoted(data)
    try:
        elements = _ELEMENTS.decode(text)
    except msgspec.ValidationError:
        return _not_a_list(path, text)
    except (ValueError, RecursionError) as fault:
        return _not_json(path, data, fault)
    findings = Findings(path)
    for kind, places in _faults(elements).items():
        count, shown = places
        findings.add(f"{detections(count)} {kind}: {listed(shown, count)}")
    if literals:
        findings.remedies.append("JSON has no NaN and no Infinity; find out why the detector gave them")
    if not findings.lines:
        # What no field holds: a literal in a field that is not read, or text that is not UTF-8.
        what = f"{len(literals)} times NaN or Infinity, first at byte {literals[0]}" if literals else ""
        findings.add(what or f"not readable: {first_line(error)}")
    result = findings.error()
    result.expected = EXPECTED
    return result


def _quoted(data: bytes) -> tuple[bytes, list[int]]:
    """The same bytes with NaN and Infinity as strings of equal length, and where they were.

    Python's json.dump writes these literals, which no other reader takes; as strings they can be counted,
    and all positions stay what they are.
    """
    if b"NaN" not in data and b"Infinity" not in data:
        return data, []
    text = bytearray(data)
    places: list[int] = []
    inside_string = False
    # One token at a time: a pattern for whole strings takes gigabytes where millions of escapes follow
    # one another.
    for match in _TOKENS.finditer(data):
        token = match[0]
        if token == b'"':
            inside_string = not inside_string
        elif not inside_string and not token.startswith(b"\\"):
            places.append(match.start())
            body = token[:-2].replace(b"N", b"\x7f").replace(b"I", b"\x7f")
            text[match.start() : match.end()] = b'"' + body + b'"'
    return bytes(text), places


ENCODINGS = {
    b"\x1f\x8b": "compressed by gzip",
    b"PK\x03\x04": "a zip archive",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
"""What else files of results come as, by their first bytes."""


def _not_json(path: Path, data: bytes, fault: Exception) -> EvidenceError:
    message = str(fault)
    encoding = next((name for start, name in ENCODINGS.items() if data.startswith(start)), None)
    if encoding is not None:
        found = f"{encoding}, not JSON in UTF-8"
    elif isinstance(fault, RecursionError):
        found = "nested too deeply for a list of detections"
    elif "truncated" in message:
        found = f"cut off: the JSON does not end within its {len(data):,} bytes"
    else:
        found = f"not JSON: {message.removeprefix('JSON is malformed: ')}"
    return EvidenceError(
        found, where=str(path), expected=EXPECTED, remedy="write the file again, and copy it whole"
    )


def _not_a_list(path: Path, data: bytes) -> EvidenceError:
    remedy = "give the list of detections itself"
    try:
        keys = list(msgspec.json.decode(data, type=dict[str, msgspec.Raw]))
        found = f"an object with {', '.join(f'`{shortened(key)}`' for key in keys[:FEW]) or 'no fields'}"
        if {"images", "annotations"} <= set(keys):
            found, remedy = (
                "an object with `images` and `annotations`, which looks like an annotation file",
                "give the detections here, and this file as the annotations",
            )
    except (ValueError, RecursionError):
        found = f"not a list but {shortened(data.strip()[:100].decode(errors='replace'))}"
    return EvidenceError(found, where=str(path), expected=EXPECTED, remedy=remedy)


def _faults(elements: list[msgspec.Raw]) -> dict[str, tuple[int, list[str]]]:
    """Kinds of fault, each with its number and where the first few are."""
    counts: defaultdict[str, int] = defaultdict(int)
    shown: defaultdict[str, list[str]] = defaultdict(list)
    for i, element in enumerate(elements[:MOST_EXAMINED]):
        for kind, value in _element_faults(element):
            counts[kind] += 1
            if counts[kind] <= FEW:
                shown[kind].append(f"[{i}] ({value})" if value else f"[{i}]")
    return {kind: (count, shown[kind]) for kind, count in counts.items()}


def _element_faults(element: msgspec.Raw) -> list[tuple[str, str]]:
    """Kind and value of everything that is wrong with one element."""
    try:
        row: Any = _ELEMENT.decode(element)
        row = {"image_id": row.image_id, "category_id": row.category_id}
        missing = []
    except (ValueError, RecursionError) as error:
        try:
            row = json.loads(bytes(element).decode())
        except (ValueError, RecursionError) as fault:
            return [("that cannot be read", first_line(fault))]
        if not isinstance(row, dict):
            return [("given as something other than an object", _shown(row))]
        missing = [
            (f"without `{field}`", "")
            for field in ("image_id", "category_id", "bbox", "score")
            if field not in row
        ]
        return [*missing, *_value_faults(row)] or [("that cannot be read", first_line(error))]
    return _value_faults(row)


def _value_faults(row: dict[str, Any]) -> list[tuple[str, str]]:
    faults = []
    for field, value in row.items():
        kind = ""
        if field == "image_id" and not isinstance(value, str):
            kind = _id_fault(value, "an integer or a string")
        elif field == "category_id":
            kind = _id_fault(value, "an integer")
        elif field == "score":
            kind = _number_fault([value], "a number")
        elif field == "bbox":
            four = isinstance(value, list) and len(value) == 4
            kind = _number_fault(value, "four numbers") if four else "not four numbers"
        if kind:
            faults.append((f"whose `{field}` is {kind}", _shown(value)))
    return faults


def _id_fault(value: Any, expected: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return "" if is_int(value) else "beyond 64 bits"
    return f"not {expected}"


def _number_fault(values: list[Any], expected: str) -> str:
    for value in values:
        if json.dumps(value) in _STAND_INS:
            return "NaN or Infinity"
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            return f"not {expected}"
        if not is_number(value):
            return "too large"
    return ""


def _shown(value: Any) -> str:
    text = json.dumps(value)
    for stand_in, literal in _STAND_INS.items():
        text = text.replace(stand_in, literal)
    return shortened(text)
