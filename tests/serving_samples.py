"""Serving evidence as a good run leaves it, for tests to spoil in one place."""

from __future__ import annotations

from typing import Any

from parity.serving.evidence import (
    DRILL_STEPS,
    BatchInvariance,
    Deviation,
    Drill,
    DrillStep,
    GpuUse,
    Latency,
    LoadStep,
    MetricSeen,
    Reconciliation,
    ServingEvidence,
    SideName,
    UnderLoad,
    Value,
)

CONCURRENCIES = (1, 2, 4, 8, 16)
TURNS = 3
ANSWERS = 1000


def latency(p95: float, n: int = ANSWERS) -> Latency:
    return Latency(
        n=n,
        mean=p95 / 2,
        p50=Value(value=p95 / 2),
        p90=Value(value=p95 * 0.9),
        p95=Value(value=p95),
        p99=Value(value=p95 * 1.2),
        max=p95 * 2,
        confidence=0.95,
        histogram="",
    )


def load_step(side: SideName, concurrency: int | None = 4, turn: int = 0, **changes: Any) -> LoadStep:
    """A step in which the candidate is twice as fast as the reference, give or take a little each turn."""
    pace = (1.0 if side == "reference" else 0.5) * (1 + 0.01 * turn * (1 if side == "reference" else -1))
    fields: dict[str, Any] = {
        "side": side,
        "turn": turn,
        "loop": "open" if concurrency is None else "closed",
        "concurrency": concurrency,
        "rate": 100.0 if concurrency is None else None,
        "arrivals": "poisson" if concurrency is None else None,
        "warmup_requests": 50,
        "seconds": 10.0,
        "sent": ANSWERS,
        "ok": ANSWERS,
        "checked": changes.get("ok", ANSWERS),
        "failed": {},
        "latency": latency(20 * pace),
        "throughput": Value(value=100 / pace),
        "stable": True,
        "stability": "the last 3 windows are alike",
        "gpu": GpuUse(
            source="nvml", samples=20, mean=0.3 if side == "reference" else 0.6, max=0.9, reason=""
        ),
    }
    return LoadStep(**{**fields, **changes})


def steps() -> list[LoadStep]:
    return [
        load_step(side, concurrency, turn)
        for turn in range(TURNS)
        for concurrency in CONCURRENCIES
        for side in ("reference", "candidate")
    ]


def metric(name: str, **changes: Any) -> MetricSeen:
    return MetricSeen(**{"name": name, "wanted_by": ["an alert"], "present": True, "moved": True, **changes})


def batches(**changes: Any) -> BatchInvariance:
    fields: dict[str, Any] = {
        "images": 8,
        "max_batch": 8,
        "sizes": list(range(1, 9)),
        "checks": 300,
        "detections": 40,
        "places": 36,
        "places_seen": 36,
        "concurrent": 64,
        "formed": {1: 2, 8: 8},
        "differing": 0,
        "failed": 0,
        "largest": Deviation(score=1e-6, box_pixels=1e-4, lowest_iou=0.999, where="a.jpg, row 1"),
        "differing_images": [],
        "noise_score": 1e-3,
        "noise_pixels": 0.1,
    }
    return BatchInvariance(**{**fields, **changes})


def under_load(side: SideName, **changes: Any) -> UnderLoad:
    fields: dict[str, Any] = {
        "side": side,
        "sampled": 200,
        "images": 50,
        "compared": 200,
        "detections": 300,
        "differing": 0,
        "largest": Deviation(score=0.0, box_pixels=0.0, lowest_iou=1.0, where="a.jpg"),
        "differing_images": [],
        "noise_score": 1e-3,
        "noise_pixels": 0.1,
    }
    return UnderLoad(**{**fields, **changes})


def reconciliation(**changes: Any) -> Reconciliation:
    fields: dict[str, Any] = {
        "client_requests": 6000,
        "client_ok": 6000,
        "client_failed": {},
        "server_success": 6000,
        "server_failure": {},
        "server_inferences": 6000,
        "explained": [],
        "unexplained": [],
        "resets": [],
    }
    return Reconciliation(**{**fields, **changes})


def drill(**changes: Any) -> Drill:
    fields: dict[str, Any] = {
        "removal": "killed",
        "steps": [DrillStep(name=name, seconds=1.5, ok=True, message="seen") for name in DRILL_STEPS],
        "images": 20,
        "unanswered": 0,
        "unequal": 0,
        "detections": 90,
        "noise_score": 1e-3,
        "noise_pixels": 0.1,
    }
    return Drill(**{**fields, **changes})


def serving(**changes: Any) -> ServingEvidence:
    """Evidence on which every criterion of serving passes."""
    fields: dict[str, Any] = {
        "work": "image",
        "images": 100,
        "reference_endpoint": "http://127.0.0.1:8095",
        "candidate_endpoint": "127.0.0.1:8001",
        "steps": steps(),
        "metrics": [
            metric("nv_inference_request_success"),
            metric("nv_inference_queue_duration_us"),
            metric("nv_gpu_utilization"),
        ],
        "reconciliation": reconciliation(),
        "batches": batches(),
        "under_load": [under_load("reference"), under_load("candidate")],
        "drill": drill(),
    }
    return ServingEvidence(**{**fields, **changes})
