"""A build manifest as a build of the demo's YOLO26n would write it, for tests of what reads one."""

from __future__ import annotations

from parity.repository.manifest import BatchProfile, BuildManifest, Stage, Tensor

NAMES = ("person", "bicycle", "car", "bus", "truck", "traffic light", "stop sign", "dog")


def manifest() -> BuildManifest:
    """Of a plan that TensorRT built for an H100."""
    return BuildManifest(
        model="yolo26",
        family="yolo26",
        head="nms-free",
        resize="letterbox",
        input_size=(256, 256),
        names=NAMES,
        precision="fp16",
        runtime="tensorrt",
        builder="trtexec",
        weights_sha256="1" * 64,
        onnx_sha256="2" * 64,
        plan_sha256="3" * 64,
        stages=(
            Stage(name="onnx", sha256="4" * 64, seconds=8.0, versions={"ultralytics": "8.4.190"}),
            Stage(name="precision", sha256="2" * 64, seconds=2.0, versions={"onnxruntime": "1.32.0"}),
            Stage(name="engine", sha256="3" * 64, seconds=40.0, versions={"tensorrt": "11.0.0"}),
        ),
        inputs=(Tensor(name="images", datatype="FP32", dims=(3, 256, 256)),),
        outputs=(Tensor(name="output0", datatype="FP32", dims=(300, 6)),),
        profile=BatchProfile(min=1, opt=4, max=8),
        tensor_types={"FP16": ("conv.weight",), "FP32": ("images", "output0")},
        tensorrt_version="11.0.0",
        driver_version="580.95",
        gpu="NVIDIA H100 80GB HBM3",
        compute_capabilities=("9.0",),
        finished="2026-11-25T10:00:00+00:00",
        seconds=40.0,
        command="trtexec --onnx=model.onnx --saveEngine=model.plan",
    )
