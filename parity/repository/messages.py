"""The protobuf messages of Triton and of ONNX, without the packages that they come in.

`import onnx` and `import tritonclient.grpc` load NumPy, gRPC and much else, and take several times as long as
all that a check of the repository does. Their generated modules need protobuf alone, so those are loaded by
their files. Protobuf keeps one descriptor for a message however often its module is loaded, so the packages
themselves may be imported later.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

from parity.errors import RunnerError

EXTRA = "pip install 'triton-parity[repository]'"


def model_config() -> Any:
    """The class of `inference.ModelConfig`. Raises RunnerError without tritonclient or protobuf."""
    return _generated("tritonclient", "grpc/model_config_pb2.py").ModelConfig


def onnx() -> Any:
    """The generated module with `ModelProto`, `TensorProto` and the rest. Raises RunnerError without onnx."""
    return _generated("onnx", "onnx_ml_pb2.py")


@cache
def _generated(package: str, file: str) -> Any:
    try:
        found = importlib.util.find_spec(package)  # of a top-level package: finds it without importing it
        folder = next(iter(found.submodule_search_locations or ()), None) if found else None
        if folder is None:
            raise ImportError(f"there is no package {package!r}")
        spec = importlib.util.spec_from_file_location(f"{package}.messages", Path(folder, file))
        if spec is None or spec.loader is None:
            raise ImportError(f"{file} cannot be loaded")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except Exception as error:  # protobuf has its own exceptions for generated code that is too new for it
        raise RunnerError(f"{package} cannot be imported: {error}", remedy=EXTRA) from error
    return module


def enum_name(message: Any, field: str) -> str:
    """The name of an enumeration's value; a number that has none, which protobuf lets through, as itself."""
    number = getattr(message, field)
    known = message.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number.get(number)
    return f"number {number}" if known is None else str(known.name)
