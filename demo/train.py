"""Trains the two demo detectors from scratch on drawn scenes and writes what `demo/weights/` holds.

    python -m demo.make_dataset yolo /tmp/street-train --images 1400
    python -m demo.train yolo26 --data /tmp/street-train/data.yaml
    python -m demo.train rtdetr --data /tmp/street-train/data.yaml

Both run side by side on 2 cores in under an hour. YOLO26n then goes on from there, on more images:

    python -m demo.make_dataset yolo /tmp/street-more --images 2400
    python -m demo.train yolo26 --data /tmp/street-more/data.yaml --start demo/weights/yolo26n-street.pt

The result is FP16 and carries no optimiser state.
"""

from __future__ import annotations

import argparse
import math
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from ultralytics.models.rtdetr.train import RTDETRTrainer
from ultralytics.models.yolo.detect import DetectionTrainer

DEMO = Path(__file__).parent
COMMON: dict[str, Any] = {
    "imgsz": 256,
    "optimizer": "AdamW",
    "cos_lr": True,
    "cache": "ram",
    "workers": 1,
    "amp": False,
    "plots": False,
    "val": False,
    "device": "cpu",
    "seed": 0,
}
YOLO26: dict[str, Any] = {
    "model": "yolo26n.yaml",
    "epochs": 32,
    "batch": 16,
    "nbs": 16,
    "lr0": 2e-3,
    "mosaic": 0.3,
    "close_mosaic": 8,
}
YOLO26_CONTINUED: dict[str, Any] = {
    **YOLO26,
    "epochs": 16,
    "lr0": 1.2e-3,
    "warmup_epochs": 1,
    "close_mosaic": 6,
}
RTDETR: dict[str, Any] = {
    "model": str(DEMO / "rtdetr-small.yaml"),
    "epochs": 24,
    "batch": 8,
    "nbs": 8,
    "lr0": 1e-3,
    "warmup_epochs": 2,
    "mosaic": 0.0,
}


class SmallRtdetrTrainer(RTDETRTrainer):  # type: ignore[misc]  # Ultralytics ships no types
    """RT-DETR whose classifiers start at a prior of 0.01.

    Ultralytics starts them at a probability that rises as classes get fewer (0.39 for 8), and a short
    training spends its epochs on unlearning it.
    """

    def get_model(self, *args: Any, **kwargs: Any) -> torch.nn.Module:
        """Build the model and set the bias of every classifier of the decoder."""
        model = super().get_model(*args, **kwargs)
        decoder = model.model[-1]
        prior = -math.log((1 - 0.01) / 0.01)
        for head in (decoder.enc_score_head, *decoder.dec_score_head):
            torch.nn.init.constant_(head.bias, prior)
        return model


def shrink(checkpoint: Path, target: Path) -> None:
    """Keep what inference needs: the averaged weights in FP16, with no training state and no paths.

    RTDETRDecoder stores the anchors of the last feature maps it saw; in FP16 they would be rounded and
    then reused. They are dropped here, so that every loader computes them afresh in full precision.
    """
    saved = torch.load(checkpoint, map_location="cpu", weights_only=False)
    model = saved.get("ema") or saved["model"]
    head = model.model[-1]
    if hasattr(head, "valid_mask"):
        head.shapes, head.anchors, head.valid_mask = [], torch.empty(0), torch.empty(0)
    model.half().eval()
    for parameter in model.parameters():
        parameter.requires_grad = False
    model.args = {"task": "detect", "imgsz": COMMON["imgsz"]}
    # Neither says anything about the network, only where it was trained.
    model.pt_path = target.name
    model.yaml["yaml_file"] = Path(model.yaml["yaml_file"]).name
    kept = {"model": model, "ema": None, "epoch": -1, "optimizer": None, "train_args": model.args}
    for key in ("version", "date", "license"):
        kept[key] = saved.get(key)
    target.parent.mkdir(parents=True, exist_ok=True)
    torch.save(kept, target)


def main() -> None:
    """Command line of this script."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("family", choices=("yolo26", "rtdetr"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=DEMO / "weights")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--start", type=Path, help="go on from these weights (yolo26 only)")
    arguments = parser.parse_args()
    settings, trainer = (
        (YOLO26, DetectionTrainer) if arguments.family == "yolo26" else (RTDETR, SmallRtdetrTrainer)
    )
    with tempfile.TemporaryDirectory() as work:
        overrides = {**COMMON, **settings, "data": str(arguments.data), "project": work, "name": "run"}
        if arguments.start:
            overrides.update(YOLO26_CONTINUED, model=str(arguments.start))
        if arguments.epochs:
            overrides["epochs"] = arguments.epochs
        run = trainer(overrides=overrides)
        run.train()
        name = "yolo26n-street" if arguments.family == "yolo26" else "rtdetr-small-street"
        shrink(Path(run.last), arguments.out / f"{name}.pt")
        log = f"{name}-continued.csv" if arguments.start else f"{name}.csv"
        shutil.copy(run.csv, arguments.out / log)


if __name__ == "__main__":
    main()
