"""Samples of serving evidence for tests: realistic numbers, every part of it there."""

from __future__ import annotations

from typing import Any

from parity.report.document import Outcome, Report
from parity.serving.evidence import (
    BatchInvariance,
    Deviation,
    Drill,
    DrillStep,
    GpuUse,
    Latency,
    LoadStep,
    MetricSeen,
    Reconciliation,
    ServerSplit,
    ServingEvidence,
    SideName,
    UnderLoad,
    Value,
)
from tests import report_samples as samples


def latency(p95: float = 41.5, n: int = 600) -> Latency:
    """Quantiles around that p95, ms."""
    return Latency(
        n=n,
        mean=p95 * 0.62,
        p50=Value(value=p95 * 0.6, interval=(p95 * 0.57, p95 * 0.63)),
        p90=Value(value=p95 * 0.9, interval=(p95 * 0.86, p95 * 0.95)),
        p95=Value(value=p95, interval=(p95 * 0.94, p95 * 1.08)),
        p99=Value(value=p95 * 1.3, reason="too few windows for an interval"),
        max=p95 * 1.9,
        confidence=0.95,
        histogram="",
    )


def step(side: SideName = "candidate", concurrency: int = 4, turn: int = 0, **changes: Any) -> LoadStep:
    """A closed loop's step; the candidate's with what a Triton tells."""
    given: dict[str, Any] = {
        "side": side,
        "turn": turn,
        "loop": "closed",
        "concurrency": concurrency,
        "rate": None,
        "arrivals": None,
        "warmup_requests": 20,
        "seconds": 12.5,
        "sent": 600,
        "ok": 600,
        "failed": {},
        "latency": latency(20.0 + 6 * concurrency + (9 if side == "reference" else 0)),
        "throughput": Value(value=48.0, interval=(46.1, 49.7)),
        "stable": True,
        "stability": "three windows in a row within 10 %",
    }
    if side == "candidate":
        given["server"] = ServerSplit(
            requests=600, failures=0, inferences=600, executions=220, queue_ms=3.1, compute_input_ms=0.2,
            compute_infer_ms=14.2, compute_output_ms=0.1, cache_hits=0,
            batch_sizes={1: 40, 2: 60, 4: 110, 8: 10},
        )  # fmt: skip
        given["gpu"] = GpuUse(source="none", samples=0, mean=None, max=None, reason="no GPU on this machine")
    return LoadStep(**{**given, **changes})


def serving(**changes: Any) -> ServingEvidence:
    """A whole run: three loads on both sides in two turns, and one open loop with failures."""
    steps = [
        step(side, concurrency, turn)
        for concurrency in (1, 4, 16)
        for turn in (0, 1)
        for side in ("reference", "candidate")
    ]
    steps.append(
        step(
            loop="open", rate=40.0, arrivals="poisson", ok=590, failed={"deadline": 7, "not-sent": 3},
            stable=False, stability="p95 still rose by 31 % after 30 s",
        ).model_copy(update={"concurrency": None})
    )  # fmt: skip
    largest = Deviation(score=0.0004, box_pixels=0.03, lowest_iou=0.999, where="000012.jpg, batch 8, row 3")
    given: dict[str, Any] = {
        "work": "image",
        "images": 64,
        "reference_endpoint": "http://127.0.0.1:8095/detect",
        "candidate_endpoint": "127.0.0.1:8001",
        "steps": steps,
        "metrics": [
            MetricSeen(name="nv_inference_count", wanted_by=["alert rules"], present=True, moved=True),
            MetricSeen(
                name="nv_gpu_utilization", wanted_by=["policy"], present=False, moved=None, reason="no GPU"
            ),
        ],
        "reconciliation": Reconciliation(
            client_requests=4210, client_ok=4200, client_failed={"deadline": 7, "not-sent": 3},
            server_success=4207, server_failure={}, server_inferences=4207,
            explained=["7 requests passed their deadline at the client and were answered by the server"],
            unexplained=[], resets=[],
        ),
        "batches": BatchInvariance(
            images=12, max_batch=8, checks=432, differing=0, failed=0, largest=largest, differing_images=[],
            noise_score=0.001, noise_pixels=0.1, detections=41, places=36, places_seen=34,
        ),
        "under_load": [
            UnderLoad(
                side="candidate", sampled=256, images=64, differing=2, largest=largest,
                differing_images=["000012.jpg", "<b>\u202egpj.exe"], noise_score=0.001, noise_pixels=0.1,
                compared=255, failed=1, detections=873,
            )
        ],
        "drill": Drill(
            steps=[DrillStep(name="switch off", seconds=0.2, ok=True, message="8 answers by the reference")],
            images=8, unanswered=0, unequal=0, detections=29, noise_score=0.002, noise_pixels=0.2,
        ),
    }  # fmt: skip
    return ServingEvidence(**{**given, **changes})


def load_report(**changes: Any) -> Report:
    """What `parity load` reports of that run: no accuracy, and a note with code in it."""
    judged = [samples.criterion("p95_latency", Outcome.PASS, observed=0.9, limit=1.0, interval=(0.8, 0.97))]
    pair = samples.pair("yolo26", criteria=judged, images=0).model_copy(
        update={"accuracy": None, "agreement": None, "estimates": [], "serving": serving(**changes)}
    )
    return samples.report(
        [pair], notes=["not judged here: rollback_drill; `parity drill` collects what it needs"]
    )
