from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from parity.dataset.annotations import Annotations, read_annotations
from parity.errors import EvidenceError
from parity.results import Results, read

MakeAnnotations = Callable[..., Annotations]


@pytest.fixture
def annotate(tmp_path: Path) -> MakeAnnotations:
    """Makes annotations of images `{id: file_name}` and of category ids."""

    def make(
        images: dict[int, str | None] | None = None, categories: tuple[int, ...] = (1, 2, 3)
    ) -> Annotations:
        path = tmp_path / "annotations.json"
        rows: list[dict[str, Any]] = []
        for number, name in (images or {7: "a.jpg", 8: "b.jpg"}).items():
            rows.append({"id": number} if name is None else {"id": number, "file_name": name})
        document = {
            "images": rows,
            "categories": [{"id": c, "name": f"class {c}"} for c in categories],
            "annotations": [],
        }
        path.write_text(json.dumps(document))
        return read_annotations(path)

    return make


@pytest.fixture(name="annotations")
def usual_annotations(annotate: MakeAnnotations) -> Annotations:
    return annotate()


@pytest.fixture
def load(tmp_path: Path, annotations: Annotations) -> Callable[..., Results]:
    """Reads bytes, text or a document as a file of results."""

    def read_content(content: Any, against: Annotations | None = None) -> Results:
        path = tmp_path / "results.json"
        if not isinstance(content, (str, bytes)):
            content = json.dumps(content)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read(path, against or annotations)

    return read_content


@pytest.fixture
def refused(load: Callable[..., Results]) -> Callable[..., str]:
    """The message with which a file of results is refused."""

    def message(content: Any, against: Annotations | None = None) -> str:
        with pytest.raises(EvidenceError) as caught:
            load(content, against)
        text = str(caught.value)
        text.encode()  # what cannot be printed would become a traceback
        return text

    return message
