"""Triton's Python backend runs this file: it answers batches of requests with ONNX Runtime.

It is copied as `model.py` beside `model.onnx` into the embedded repository and runs in the server's own
environment, where parity is not installed; so it imports nothing of parity. Triton has already put
requests together (dynamic batching); here they become one batch, one execution, and answers again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

THREADS_PARAMETER = "intra_op_threads"


class TritonPythonModel:
    """The interface that Triton's Python backend looks for."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the network. An exception here is Triton's reason for not becoming ready."""
        import onnxruntime
        import triton_python_backend_utils as utils  # type: ignore[import-not-found, unused-ignore]

        self.utils = utils
        config = json.loads(args["model_config"])
        options = onnxruntime.SessionOptions()
        parameter = config.get("parameters", {}).get(THREADS_PARAMETER, {})
        options.intra_op_num_threads = int(parameter.get("string_value") or 0)
        options.log_severity_level = 3
        path = Path(args["model_repository"], args["model_version"], "model.onnx")
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.input_name = config["input"][0]["name"]
        self.output_names = [output["name"] for output in config["output"]]
        self.dtype = np.dtype(utils.triton_string_to_numpy(config["input"][0]["data_type"]))

    def execute(self, requests: list[Any]) -> list[Any]:
        """One response a request, in their order. A request that cannot be answered gets its own error."""
        responses: list[Any] = [None] * len(requests)
        groups: dict[tuple[int, ...], list[tuple[int, Any]]] = {}
        for index, request in enumerate(requests):
            tensor = self.utils.get_input_tensor_by_name(request, self.input_name)
            array = None if tensor is None else tensor.as_numpy()
            if array is None or array.ndim != 4 or array.dtype != self.dtype or not len(array):
                shape = "missing" if array is None else f"{array.dtype} {array.shape}"
                responses[index] = self._error(
                    f"input {self.input_name!r} is {shape}, expected a batch of images"
                )
            else:
                groups.setdefault(array.shape[1:], []).append((index, array))
        for members in groups.values():
            self._answer(requests, members, responses)
        return responses

    def finalize(self) -> None:
        """Free the network before the process ends."""
        self.session = None

    def _answer(self, requests: list[Any], members: list[tuple[int, Any]], responses: list[Any]) -> None:
        batch = np.concatenate([array for _, array in members])
        try:
            answers = self.session.run(self.output_names, {self.input_name: batch})
        except Exception as error:  # noqa: BLE001  # the runtime's have no common base; the client is told
            for index, _ in members:
                responses[index] = self._error(f"ONNX Runtime: {error}")
            return
        start = 0
        for index, array in members:
            stop = start + len(array)
            wanted = set(requests[index].requested_output_names())
            tensors = [
                self.utils.Tensor(name, np.ascontiguousarray(answer[start:stop]))
                for name, answer in zip(self.output_names, answers)  # noqa: B905  # the server may run 3.8
                if name in wanted
            ]
            responses[index] = self.utils.InferenceResponse(output_tensors=tensors)
            start = stop

    def _error(self, message: str) -> Any:
        return self.utils.InferenceResponse(output_tensors=[], error=self.utils.TritonError(message))
