"""The rollout plan: its phases in their order, and the sentence of it that each criterion stands for."""

from __future__ import annotations

PHASES = {
    "conversion": "Phase 2, conversion: the detectors become TensorRT engines.",
    "integration": "Phase 3, integration testing: the engines answer behind Triton.",
    "backend": "Phase 4, backend integration: the service can send its requests to Triton.",
    "canary-10": "Phase 5, canary: 10 % of the requests go to Triton.",
    "canary-25": "Phase 5, canary: 25 % of the requests go to Triton.",
    "canary-50": "Phase 5, canary: 50 % of the requests go to Triton.",
    "canary-75": "Phase 5, canary: 75 % of the requests go to Triton.",
    "canary-100": "Phase 5, canary: 100 % of the requests go to Triton.",
    "deprecation": "Phase 6, deprecation: the path in PyTorch is removed.",
}
"""A gate decides whether its phase is done. Phase 1 only prepares, and nothing is judged in it."""

SUCCESS = {
    "p95_latency": "No increase in p95 latency.",
    "map_variance": "Detection accuracy unchanged (< 0.1 % variance).",
    "error_rate": "Error rate < 0.1 % under normal load.",
    "gpu_utilisation": "GPU utilisation better under concurrent load.",
    "existing_tests": "All existing tests pass.",
    "metrics_available": "Prometheus metrics available.",
}
"""The plan's success criteria, by the criterion that measures each to the letter."""

_ACCURACY = SUCCESS["map_variance"]
_CANARY = "Canary in steps: 10, 25, 50, 75 and 100 % of the requests."

STANDS_FOR = {
    **SUCCESS,
    "image_coverage": _ACCURACY,
    "finite_outputs": _ACCURACY,
    "worst_class": _ACCURACY,
    "operating_point": _ACCURACY,
    "flip_rate": _ACCURACY,
    "box_agreement": _ACCURACY,
    "reference_agreement": _ACCURACY,
    "box_drift": _ACCURACY,
    "pseudo_truth": _ACCURACY,
    "confidence_shift": _ACCURACY,
    "noise_floor": _ACCURACY,
    "batch_invariance": _ACCURACY,
    "accuracy_under_load": _ACCURACY,
    "throughput": SUCCESS["gpu_utilisation"],
    "ledger_reconciles": SUCCESS["error_rate"],
    "rollback_drill": _CANARY,
}
"""Each criterion's sentence; several share one whose meaning a single figure would not cover."""

_NOT_SERVED = "the engine answers a data set here, and no load: integration measures it"
_TWO_FILES = "two files of detections do not tell"
_NO_SERVICE = "no service is changed before backend integration, and its tests would not meet the engine"

NOT_MEASURED = {
    "comparison": dict.fromkeys([name for name in SUCCESS if name != "map_variance"], _TWO_FILES),
    "rehearsal": {
        "gpu_utilisation": "a rehearsal's candidate has no GPU to make use of",
        "existing_tests": _NO_SERVICE,
    },
    "conversion": {
        **dict.fromkeys(["p95_latency", "error_rate", "gpu_utilisation", "metrics_available"], _NOT_SERVED),
        "existing_tests": _NO_SERVICE,
    },
    "integration": {"existing_tests": _NO_SERVICE},
}
"""Why a phase does not judge a success criterion of the plan."""
