"""Reads a JSON list of detections: COCO results, and what Ultralytics' `val(save_json=True)` writes."""

from __future__ import annotations

import codecs
import hashlib
from itertools import chain
from operator import attrgetter
from pathlib import Path

import msgspec
import numpy as np

from parity.dataset.annotations import Annotations, read_bytes
from parity.errors import EvidenceError
from parity.results.faults import Detection, explain
from parity.results.findings import Findings, check_categories, check_numbers
from parity.results.identity import resolve
from parity.results.model import Results

_DECODER = msgspec.json.Decoder(list[Detection])


def read(path: Path, annotations: Annotations) -> Results:
    """Read the list, its float64 numbers exactly as written.

    Half a million detections take about half a second and 300 MB. Raises EvidenceError that names all that
    is wrong: first the file's form, then unknown images and categories, and numbers out of range.
    """
    data = read_bytes(path)
    sha256 = hashlib.sha256(data).hexdigest()
    body = data.removeprefix(codecs.BOM_UTF8)
    del data
    try:
        rows = _DECODER.decode(body)
        n = len(rows)
        category_ids = np.fromiter(map(attrgetter("category_id"), rows), np.int64, n)
    except MemoryError as error:
        raise EvidenceError(f"{len(body):,} bytes that memory cannot hold", where=str(path)) from error
    except (ValueError, RecursionError, OverflowError) as error:
        raise explain(path, body, error) from error
    del body
    scores = np.fromiter(map(attrgetter("score"), rows), np.float64, n)
    corners = chain.from_iterable(map(attrgetter("bbox"), rows))
    boxes = np.fromiter(corners, np.float64, 4 * n).reshape(n, 4)
    names = list(map(attrgetter("image_id"), rows))
    file_names = list(map(attrgetter("file_name"), rows))
    del rows
    findings = Findings(path)
    image_ids, by_stem = resolve(names, file_names, annotations, findings)
    check_categories(findings, category_ids, annotations)
    check_numbers(findings, scores, boxes)
    findings.raise_if_any()
    return Results(
        path=path,
        sha256=sha256,
        kind="ultralytics-predictions" if by_stem else "coco-results",
        image_ids=image_ids,
        category_ids=category_ids,
        scores=scores,
        boxes=boxes,
        predictions=None,
    )
