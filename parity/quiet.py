"""Environment variables that keep other people's libraries from doing what nobody asked for."""

from __future__ import annotations

QUIET = {
    "YOLO_AUTOINSTALL": "false",
    "YOLO_VERBOSE": "false",
    "YOLO_OFFLINE": "true",
    "ULTRALYTICS_SAFE_LOAD": "true",
    "ORT_DISABLE_TELEMETRY": "1",
}
"""No installing, no talking, no network, and weights are read without running code that they carry.

ONNX Runtime reports models to its maker from 1.29 on unless told not to.
"""
