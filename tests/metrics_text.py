"""Metrics as a Triton writes them, for tests that need one with a GPU, with faults, or at a given count."""

from __future__ import annotations

from parity.serving.prometheus import Scrape, parse

REASONS = ("OTHER", "BACKEND", "CANCELED", "REJECTED")

GPU = """\
# HELP nv_gpu_power_usage GPU power usage in watts
# TYPE nv_gpu_power_usage gauge
nv_gpu_power_usage{gpu_uuid="GPU-7e8a"} 61.482
# HELP nv_gpu_power_limit GPU power management limit in watts
# TYPE nv_gpu_power_limit gauge
nv_gpu_power_limit{gpu_uuid="GPU-7e8a"} 300
# HELP nv_energy_consumption GPU energy consumption in joules since the Triton Server started
# TYPE nv_energy_consumption counter
nv_energy_consumption{gpu_uuid="GPU-7e8a"} 8412.751
# HELP nv_gpu_utilization GPU utilization rate [0.0 - 1.0)
# TYPE nv_gpu_utilization gauge
nv_gpu_utilization{gpu_uuid="GPU-7e8a"} @0
nv_gpu_utilization{gpu_uuid="GPU-01cc"} 0
# HELP nv_gpu_memory_total_bytes GPU total memory, in bytes
# TYPE nv_gpu_memory_total_bytes gauge
nv_gpu_memory_total_bytes{gpu_uuid="GPU-7e8a"} 25757220864
nv_gpu_memory_total_bytes{gpu_uuid="GPU-01cc"} 25757220864
# HELP nv_gpu_memory_used_bytes GPU used memory, in bytes
# TYPE nv_gpu_memory_used_bytes gauge
nv_gpu_memory_used_bytes{gpu_uuid="GPU-7e8a"} 1843331072
"""


def with_gpu(utilisation: str) -> str:
    """A model's metrics on a machine with two GPUs, the names as NVIDIA documents them."""
    return written() + GPU.replace("@0", utilisation)


def written(
    *,
    success: int = 9,
    inferences: int | None = None,
    failures: dict[str, int] | None = None,
    hits: int | None = None,
    quantile: str = "148708",
    model: str = "yolo26",
    version: str = "1",
    labels: str = "",
) -> str:
    """The metrics of one model. inferences: as `success` when not given. labels: more, such as gpu_uuid."""
    of = f'model="{model}",version="{version}"{labels}'
    failed = {**dict.fromkeys(REASONS, 0), **(failures or {})}
    lines = [
        "# HELP nv_inference_request_success Number of successful inference requests, all batch sizes",
        "# TYPE nv_inference_request_success counter",
        f"nv_inference_request_success{{{of}}} {success}",
        "# HELP nv_inference_request_failure Number of failed inference requests, all batch sizes",
        "# TYPE nv_inference_request_failure counter",
        *(
            f'nv_inference_request_failure{{model="{model}",reason="{reason}",version="{version}"}} {count}'
            for reason, count in failed.items()
        ),
        "# TYPE nv_inference_count counter",
        f"nv_inference_count{{{of}}} {success if inferences is None else inferences}",
        "# TYPE nv_inference_pending_request_count gauge",
        f"nv_inference_pending_request_count{{{of}}} 0",
        "# TYPE nv_inference_request_summary_us summary",
        f"nv_inference_request_summary_us_count{{{of}}} {success}",
        f"nv_inference_request_summary_us_sum{{{of}}} {success * 1000}",
        f'nv_inference_request_summary_us{{{of},quantile="0.5"}} {quantile}',
        f'nv_inference_request_summary_us{{{of},quantile="0.95"}} {quantile}',
    ]
    if hits is not None:
        lines += [
            "# TYPE nv_cache_num_hits_per_model counter",
            f"nv_cache_num_hits_per_model{{{of}}} {hits}",
        ]
    return "\n".join(lines) + "\n"


def scrape(**counts: object) -> Scrape:
    """`written`, parsed."""
    return parse(written(**counts), where="metrics")  # type: ignore[arg-type]
