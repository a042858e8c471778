"""The export's process: what it tells of weights names the user's file, not the copy that it loads."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from parity.errors import EvidenceError
from parity.repository.worker import _export_fp32


@pytest.mark.parametrize("step", ["loading", "exporting"])
def test_an_error_names_the_user_s_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    copy = tmp_path / "work" / "weights.pt"

    def refuse(**_: Any) -> None:
        raise TypeError(f"{copy} is not what it seems")

    def load(path: str) -> SimpleNamespace:
        if step == "loading":
            raise TypeError(f"{path} is not what it seems")
        model = SimpleNamespace(model=[object()])
        return SimpleNamespace(
            names={0: "dog"}, model=model, add_callback=lambda _name, _function: None, export=refuse
        )

    monkeypatch.setitem(sys.modules, "ultralytics", SimpleNamespace(YOLO=load, RTDETR=load))
    request = {
        "weights": str(copy),
        "weights_shown": "models/best.pt",
        "family": "yolo26",
        "head": "nms-free",
        "opset": 17,
    }
    with pytest.raises(EvidenceError) as caught:
        _export_fp32(request, tmp_path / "model.onnx", (64, 64), lambda: None)
    assert "TypeError: models/best.pt is not what it seems" in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
