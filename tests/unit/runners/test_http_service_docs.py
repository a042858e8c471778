"""docs/http-service.md tells the settings as they are, and its run file is one."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from pydantic_core import PydanticUndefined

from parity import policies, runners
from parity.config import load
from parity.runners.http_service import HttpServiceSettings
from tests.unit.runners.test_http_answers import detection, one, read

TEXT = Path("docs/http-service.md").read_text("utf-8")


def test_every_setting_is_described_with_its_default() -> None:
    section = TEXT.partition("## Settings")[2].partition("\n## ")[0]
    told = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", section, re.MULTILINE))
    real = {}
    for name, field in HttpServiceSettings.model_fields.items():
        if field.default is PydanticUndefined:
            real[name] = "required"
        elif field.default is None:
            real[name] = "none"
        else:
            number = isinstance(field.default, float) and field.default.is_integer()
            real[name] = f"`{json.dumps(int(field.default) if number else field.default)}`"
    assert told == real


def test_the_run_file_is_valid(tmp_path: Path) -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    path = tmp_path / "mine.toml"
    path.write_text(block)
    run_file = load(path, runners.SETTINGS, policies.phases())
    ports = {name: run_file.side(name, "reference").settings["url"][-4:] for name in run_file.models}
    assert ports == {"rtdetr": "8090", "yolo26": "8095"}


def test_the_answers_shown_are_read_with_the_settings_shown() -> None:
    documents: list[Any] = [  # of each row, in order
        {"result": {"boxes": [detection()]}},
        {"images": [{"objects": [detection()]}]},
        [detection()],
        one(bbox=[1, 2, 2, 3]),
        one(x=1, y=2, width=2, height=3),
        one(bbox={"x1": 1, "y1": 2, "x2": 3, "y2": 5}),
        one(box=[0.02, 0.07, 0.02, 0.06]),
        one(label="bus"),
        one(cls=1),
    ]
    table = TEXT.partition("| the answer has | settings |")[2].partition("\n\n")[0]
    rows = [re.findall(r"(\w+) = (\"[^\"]*\"|true)", line.split("|")[2]) for line in table.splitlines()[2:]]
    for document, row in zip(documents, rows, strict=True):
        found = read(document, **{name: json.loads(value) for name, value in row})
        np.testing.assert_allclose(found.boxes, [[1, 2, 3, 5]], rtol=1e-6)
        assert found.classes.tolist() == [1]
