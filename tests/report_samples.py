"""Sample reports for tests: realistic numbers, and pictures from the demo data set where it is there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from parity.report.document import (
    Accuracy,
    Agreement,
    ApSet,
    Box,
    ClassAccuracy,
    CriterionResult,
    Difference,
    Estimate,
    ImageCounts,
    ImageFailure,
    Outcome,
    Pair,
    Report,
    WorstImage,
)

STREET = Path(__file__).parents[1] / "datasets" / "street"
CLASSES = ("car", "van", "bus", "cyclist", "pedestrian", "traffic light", "sign", "dog")
METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100")
HOSTILE = (
    "<script>document.title='owned'</script>",
    '"><img src=x onerror="document.title=\'owned\'">',
    "' onmouseover='document.title=1",
    '=HYPERLINK("http://evil.example","x")',
    "invoice\u202egpj.exe",
    "bell\x07 escape\x1b[31m null\x00",
    "{{ 7 * 7 }}{% raw %}",
    "</title></style></script>",
    "\u0645\u0634\u0627\u0629 \u0648\u062f\u0631\u0627\u062c\u0627\u062a",
)


def difference(
    value: float | None, spread: float = 0.0004, reference: float = 0.58, reason: str = ""
) -> Difference:
    """A difference with an interval of that half width, or an undefined one."""
    if value is None:
        return Difference(
            value=None,
            interval=None,
            confidence=None,
            relative_percent=None,
            relative_percent_interval=None,
            reason=reason or "no ground truth box of this size",
        )
    relative = 100 / reference
    return Difference(
        value=value,
        interval=(value - spread, value + spread),
        confidence=0.95,
        relative_percent=value * relative,
        relative_percent_interval=((value - spread) * relative, (value + spread) * relative),
        reason=reason,
    )


def ap_set(shift: float = 0.0, *, no_small: bool = False) -> ApSet:
    """One side's metrics, moved by `shift`; without small objects APs is undefined."""
    base = dict(
        zip(METRICS, (0.5843, 0.8121, 0.6402, 0.3127, 0.6218, 0.7741, 0.4410, 0.6602, 0.6715), strict=True)
    )
    values: dict[str, Any] = {name: value + shift for name, value in base.items()}
    undefined = {}
    if no_small:
        values["APs"], undefined = None, {"APs": "no ground truth box is smaller than 32\u00b2 px"}
    return ApSet(**values, undefined=undefined)


def accuracy(
    shift: float = -0.00007, *, names: tuple[str, ...] = CLASSES, no_small: bool = False
) -> Accuracy:
    """Both sides with differences around `shift`, the last class undefined."""
    classes = []
    for index, name in enumerate(names, start=1):
        last = index == len(names) and len(names) > 1
        value = shift * (1 + 0.7 * ((index * 37) % 11 - 5))
        reference = 0.35 + 0.05 * (index * 13 % 9)
        classes.append(
            ClassAccuracy(
                category_id=index,
                name=name,
                boxes=0 if last else 90 + index * 53 % 400,
                reference=None if last else reference,
                candidate=None if last else reference + value,
                difference=difference(None, reason="the data set has no box of this class")
                if last
                else difference(value, 0.0012, reference),
                p_value=None if last else 0.04 * index,
                adjusted_p_value=None if last else 0.31,
            )
        )
    reference_set = ap_set(no_small=no_small)
    return Accuracy(
        evaluator="hotcoco 1.3.0",
        reference=reference_set,
        candidate=ap_set(shift, no_small=no_small),
        difference={
            name: difference(None if name == "APs" and no_small else shift, abs(shift) * 0.9 + 2e-5)
            for name in METRICS
        },
        classes=classes,
        resamples=1000,
        seed=0,
    )


def agreement(missing: int = 3, extra: int = 5, moved: int = 14, rescored: int = 9) -> Agreement:
    """Agreement over some 2,600 detections with that many differences."""
    matched = 2611 - missing
    return Agreement(
        score=0.25,
        iou=0.5,
        moved_iou=0.95,
        rescored_by=0.02,
        reference_detections=2611,
        candidate_detections=matched + extra,
        matched=matched,
        missing=missing,
        extra=extra,
        moved=moved,
        rescored=rescored,
        agreeing=matched - moved - rescored,
        box_drift_pixels={"p50": 0.0132, "p95": 0.174, "p99": 0.81, "max": 11.27},
        score_drift={"p50": 0.00021, "p95": 0.0034, "p99": 0.0117, "max": 0.412},
        lowest_iou=0.6120,
    )


def criterion(name: str, outcome: Outcome, **values: Any) -> CriterionResult:
    """A criterion's result with defaults for what the test does not care about."""
    sense = {"image_coverage": "at_least", "finite_outputs": "at_most", "box_agreement": "at_least"}
    given: dict[str, Any] = {
        "observed": None,
        "limit": None,
        "unit": "",
        "sense": sense.get(name, "within"),
        "interval": None,
        "n": 500,
    }
    return CriterionResult(
        name=name, outcome=outcome, **{**given, "message": f"{name} was judged.", **values}
    )


def criteria(outcome: Outcome) -> list[CriterionResult]:
    """The four criteria of the demo's policy, with map_variance coming to `outcome`."""
    seen = {
        Outcome.PASS: (-0.012, (-0.0231, -0.0012), "all of it inside the limit of 0.1 %."),
        Outcome.INCONCLUSIVE: (
            -0.0611,
            (-0.1412, 0.0187),
            "it reaches over the limit of 0.1 %; about 1,240 images like these would decide it.",
        ),
        Outcome.FAIL: (-2.914, (-3.377, -2.402), "the measured change is at or over the limit of 0.1 %."),
    }
    value, interval, follows = seen[outcome]
    low, high = interval
    agrees = 97.12 if outcome is Outcome.FAIL else 99.62
    return [
        criterion(
            "image_coverage",
            Outcome.PASS,
            observed=100.0,
            limit=100.0,
            unit="% of images",
            message="Both sides answered all 500 images.",
        ),
        criterion(
            "finite_outputs",
            Outcome.PASS,
            observed=0.0,
            limit=0.0,
            unit="detections",
            message="Every raw output on 500 images was finite on both sides.",
        ),
        criterion(
            "map_variance",
            outcome,
            observed=value,
            limit=0.1,
            unit="% of reference AP",
            interval=interval,
            message=f"AP changed by {value:+.4f} %, interval {low:+.4f} to {high:+.4f} %: {follows}",
        ),
        criterion(
            "box_agreement",
            Outcome.FAIL if agrees < 99 else Outcome.PASS,
            observed=agrees,
            limit=99.0,
            unit="% of detections",
            interval=(agrees - 0.6, agrees + 0.22),
            n=2616,
            message=f"{round(26.16 * agrees)} of 2616 detections agree (3 missing, 14 moved, 9 rescored).",
        ),
    ]


def estimates() -> list[Estimate]:
    """One of each group, one of them without an interval and one undefined."""
    rows: list[tuple[str, str, str, float | None, str, tuple[float, float] | None, str]] = [
        (
            "operating_point",
            "operating_point.f1.change",
            "Change of F1 at 0.5",
            -0.041,
            "points",
            (-0.2, 0.1),
            "",
        ),
        (
            "operating_point",
            "operating_point.flip_rate",
            "Detections one side shows",
            0.3,
            "%",
            (0.1, 0.6),
            "",
        ),
        ("agreement", "agreement.iou_0.75", "Reference with a partner at 0.75", 99.71, "%", (99.4, 99.9), ""),
        ("agreement", "agreement.iou.min", "IoU of pairs, least", 0.61, "", None, "an extreme value"),
        ("confidence", "confidence.shift", "Shift of a score of 0.5", -0.0004, "", (-0.001, 0.0002), ""),
    ]
    rows.append(
        ("noise_floor", "noise_floor.AP", "AP change of a repeat", None, "%", None, "no repeat was stored")
    )
    return [
        Estimate(
            group=group, name=name, label=label, value=value, unit=unit, interval=interval,
            confidence=0.95 if interval else None, n=500, reason=reason,
        )
        for group, name, label, value, unit, interval, reason in rows
    ]  # fmt: skip


def provenance() -> dict[str, Any]:
    """What a run records, and a secret that must never be seen."""
    return {
        "reference": {
            "runner": "ultralytics",
            "weights": {"path": "demo/yolo26n.pt", "sha256": "3f" * 32},
            "settings": {"score": 0.001, "max_det": 300, "rect": True, "nms": False},
        },
        "candidate": {
            "runner": "triton",
            "server": {"version": "2.51.0", "backend": "python", "url": "grpc://ops:hunter2@10.0.0.7:8001"},
            "model": {"name": "yolo26n", "config_sha256": "b7" * 32, "onnx_sha256": "09" * 32},
            "precision": "FP32",
            "api_token": "hunter2",
        },
        "dataset": {"name": "street", "manifest_sha256": "c4" * 32, "images": 500},
        "environment": {
            "python": "3.11.7",
            "cpus": 2,
            "gpu": None,
            "packages": {"numpy": "2.4.6", "onnx": "1.23.2"},
        },
    }


def worst_images(folder: Path | None, names: tuple[str, ...] = CLASSES, count: int = 4) -> list[WorstImage]:
    """Images of the demo data set with boxes around its true ones; drawn on nothing when it is not there."""
    found = _scenes(count)
    result = []
    for index, (image, boxes) in enumerate(found):
        picture = None
        if folder is not None and (STREET / "images" / image["file_name"]).is_file():
            picture = f"pictures/{image['id']}.jpg"
            (folder / "pictures").mkdir(parents=True, exist_ok=True)
            shutil.copyfile(STREET / "images" / image["file_name"], folder / picture)
        drawn = _boxes(boxes, names)
        result.append(
            WorstImage(
                image_id=image["id"],
                file_name=image["file_name"],
                width=image["width"],
                height=image["height"],
                differing=sum(box.kind != "matched" for box in drawn),
                lowest_iou=0.612 + 0.05 * index,
                picture=picture,
                boxes=drawn,
            )
        )
    return result


def _scenes(count: int) -> list[tuple[dict[str, Any], list[list[float]]]]:
    if not (STREET / "annotations.json").is_file():
        image = {"id": 1, "file_name": "000001.jpg", "width": 640, "height": 400}
        return [
            (image, [[40.0, 60.0, 120.0, 90.0], [300.0, 180.0, 60.0, 140.0], [420.0, 90.0, 150.0, 100.0]])
        ]
    data = json.loads((STREET / "annotations.json").read_text("utf-8"))
    boxes: dict[int, list[list[float]]] = {}
    for annotation in data["annotations"]:
        if not annotation.get("iscrowd"):
            boxes.setdefault(annotation["image_id"], []).append(annotation["bbox"])
    chosen = [image for image in data["images"] if 5 <= len(boxes.get(image["id"], [])) <= 9]
    return [(image, boxes[image["id"]]) for image in chosen[:count]]


def _boxes(boxes: list[list[float]], names: tuple[str, ...]) -> list[Box]:
    drawn = []
    for index, (x, y, width, height) in enumerate(boxes):
        kind = ("matched", "moved", "missing", "matched", "extra", "rescored")[index % 6]
        name = names[index % len(names)]
        shift = 0.22 * width if kind == "moved" else 0.4
        corners = {"x1": x, "y1": y, "x2": x + width, "y2": y + height}
        moved = {"x1": x + shift, "y1": y + shift / 3, "x2": x + width + shift, "y2": y + height + shift / 3}
        score = 0.91 - 0.07 * index
        if kind != "extra":
            drawn.append(Box(side="reference", kind=kind, name=name, score=score, **corners))
        if kind != "missing":
            lower = 0.2 if kind == "rescored" else 0.002
            drawn.append(Box(side="candidate", kind=kind, name=name, score=max(score - lower, 0.05), **moved))
    return drawn


def pair(
    model: str = "yolo26n",
    outcome: Outcome = Outcome.PASS,
    *,
    folder: Path | None = None,
    names: tuple[str, ...] = CLASSES,
    failures: list[ImageFailure] | None = None,
    images: int = 4,
    **changes: Any,
) -> Pair:
    """One model that comes to `outcome`."""
    shift = {Outcome.PASS: -0.00007, Outcome.INCONCLUSIVE: -0.00036, Outcome.FAIL: -0.01703}[outcome]
    sentences = {
        Outcome.PASS: f"PASS: {model}'s AP changed by -0.012 %, interval -0.023 to -0.001 %, limit 0.1 %.",
        Outcome.INCONCLUSIVE: f"INCONCLUSIVE: {model}'s AP changed by -0.061 %, interval -0.141 to +0.019 %, "
        "which reaches over the limit of 0.1 %; about 1,240 images would decide it.",
        Outcome.FAIL: f"FAIL: {model}'s AP changed by -2.914 %, over the limit of 0.1 %.",
    }
    failed = failures or []
    reference_failed = sum(failure.side == "reference" for failure in failed)
    candidate_failed = len(failed) - reference_failed
    values: dict[str, Any] = {
        "model": model,
        "verdict": outcome,
        "sentence": sentences[outcome],
        "images": ImageCounts(
            in_dataset=500,
            attempted=500,
            answered_by_both=500 - len({failure.image_id for failure in failed}),
            failed_on_reference=reference_failed,
            failed_on_candidate=candidate_failed,
            failures=failed,
        ),
        "accuracy": accuracy(shift, names=names, no_small=outcome is Outcome.INCONCLUSIVE),
        "agreement": agreement(missing=58, extra=41, moved=310) if outcome is Outcome.FAIL else agreement(),
        "estimates": estimates(),
        "criteria": criteria(outcome),
        "worst_images": worst_images(folder, names, images) if images else [],
        "timings": {"reference": 7.94, "candidate": 9.31, "match": 0.212, "bootstrap": 74.0},
        "provenance": provenance(),
    }
    return Pair(**{**values, **changes})


def failures(
    count: int = 3, message: str = "server answered UNAVAILABLE after 3 tries"
) -> list[ImageFailure]:
    """Images that the candidate did not answer."""
    return [
        ImageFailure(
            image_id=number, file_name=f"{number:06}.jpg", side="candidate", status="failed", message=message
        )
        for number in range(1, count + 1)
    ]


def report(pairs: list[Pair] | None = None, **changes: Any) -> Report:
    """A run over `pairs` (one passing model without pictures by default), its verdict made from theirs."""
    given = [pair()] if pairs is None else pairs
    outcomes = [entry.verdict for entry in given]
    verdict = Outcome.PASS if outcomes else Outcome.INCONCLUSIVE
    for outcome in (Outcome.INCONCLUSIVE, Outcome.FAIL):
        verdict = outcome if outcome in outcomes else verdict
    values: dict[str, Any] = {
        "run_id": "20251122-171530-street",
        "created": "2025-11-22T17:15:30Z",
        "command": "parity run parity.toml --dataset street --token hunter2",
        "phase": "shadow",
        "verdict": verdict,
        "rehearsal": False,
        "partial": False,
        "dataset": "street",
        "notes": [],
        "error": None,
        "pairs": given,
    }
    return Report(**{**values, **changes})


def demo(folder: Path) -> Report:
    """Two models, one failing and one passing, with pictures and three failed images: a rehearsal."""
    return report(
        [
            pair("yolo26n", Outcome.PASS, folder=folder),
            pair("rtdetr-small", Outcome.FAIL, folder=folder, failures=failures()),
        ],
        rehearsal=True,
        notes=["RT-DETR's anchors were rounded to half precision in its checkpoint."],
    )


def hostile(folder: Path) -> Report:
    """Hostile text wherever text goes."""
    bad = " ".join(HOSTILE[:3])
    failed = [
        ImageFailure(image_id=number, file_name=text, side="reference", status="unreadable", message=text)
        for number, text in enumerate(HOSTILE, start=1)
    ]
    judged = [criterion(text, Outcome.FAIL, unit=text, message=text) for text in HOSTILE]
    worst = [
        entry.model_copy(update={"file_name": text})
        for entry, text in zip(worst_images(folder, HOSTILE, 2), HOSTILE, strict=False)
    ]
    entry = pair(
        bad,
        Outcome.FAIL,
        names=HOSTILE,
        failures=failed,
        criteria=judged,
        worst_images=worst,
        sentence=bad,
        timings={bad: 1.0},
        provenance={text: {text: [text, {text: text}]} for text in HOSTILE},
    )
    return report(
        [entry],
        run_id=bad,
        created=bad,
        command=bad,
        phase=bad,
        dataset=HOSTILE[4],
        notes=list(HOSTILE),
        error=bad,
    )


def many_classes(folder: Path) -> Report:
    """80 classes, some with very long names, on one undecided model with a very long name."""
    names = (
        *(f"class {number}" for number in range(1, 78)),
        "Doppeldeckeromnibushaltestellenwartehäuschen" * 3,
        "a class name of many words that somebody thought would be helpful to have in full in every table",
        HOSTILE[-1] + " \u0641\u064a \u0627\u0644\u0634\u0627\u0631\u0639",
    )
    model = "yolo26n-finetuned-on-street-scenes-2025-11-with-a-name-that-does-not-end"
    return report(
        [pair(model, Outcome.INCONCLUSIVE, folder=folder, names=names[::-1], images=2)], partial=True
    )


def stopped() -> Report:
    """A run that ended before any pair was compared."""
    return report(
        [],
        error="127.0.0.1:8001: no Triton answers there\n  expected: a server that is ready\n"
        "  to do: start it, or leave `server` out of the run file to have one started",
        rehearsal=True,
    )
