"""A detection service as it runs today, before Triton: FastAPI, and Ultralytics in PyTorch.

    python -m demo.service --model yolo26 --port 8095
    python -m demo.service --model rtdetr --port 8090

`POST /detect` takes a picture, as the file `file` of a multipart form or as the body itself, and answers
with JSON; `?confidence=0.001` wins over --confidence. `GET /health` says what runs. The model's weights,
input, head and NMS are those of the run file, so that parity can compare the service with the same model
elsewhere. One thread runs the network, one picture at a time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import sys
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import uvicorn
from fastapi import FastAPI, HTTPException, Query, Request, Response
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from parity.config import ModelConfig, RunFile, load
from parity.dataset import ImageProblem
from parity.dataset.images import read_header
from parity.errors import ParityError, RunnerError
from parity.provenance import package_version, sha256_of_file
from parity.runners.ultralytics import import_ultralytics

FORM_FIELD = "file"
MOST_PIXELS = 50_000_000
DRAINED = 10
"""A body over the limit is read on and dropped until so many times the limit: whoever closes a connection on
a client that still sends takes the answer from it, too."""


class Detector:
    """Ultralytics' predict for one model. Everything in it has to be called from one and the same thread."""

    def __init__(self, model: ModelConfig, *, max_detections: int, rect: bool) -> None:
        ultralytics = import_ultralytics()
        kind = ultralytics.RTDETR if model.family == "rtdetr" else ultralytics.YOLO
        self.network = kind(str(model.weights))
        self.names = model.names
        self.arguments: dict[str, Any] = {
            "imgsz": list(model.input_size),
            "max_det": max_detections,
            "iou": model.nms_iou,
            "rect": rect,
            "batch": 1,
            "verbose": False,
            "save": False,
        }
        if model.head == "nms-free":
            self.arguments["nms"] = False
        self.network.predict(np.zeros((*model.input_size, 3), np.uint8), **self.arguments)  # sets all up

    def detect(self, data: bytes, confidence: float) -> list[dict[str, Any]]:
        """Detections above a confidence, best first. Raises ImageProblem, or HTTPException as an answer."""
        header = read_header(data)
        if header.width * header.height > MOST_PIXELS:
            raise HTTPException(413, f"{header.width}x{header.height} pixels, limit {MOST_PIXELS}")
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        if pixels is None:
            raise HTTPException(422, "not a picture that OpenCV can decode")
        rows = self.network.predict(pixels, conf=confidence, **self.arguments)[0].boxes.data
        return [
            {
                "class_id": int(row[5]),
                "class_name": self.names[int(row[5])],
                "confidence": row[4],
                "box": row[:4],
            }
            for row in rows.cpu().numpy().astype(float).tolist()
        ]


def create_app(
    detector: Detector, worker: ThreadPoolExecutor, facts: dict[str, Any], confidence: float, most_bytes: int
) -> FastAPI:
    """The service. worker: the detector's one thread. facts: what /health tells. most_bytes: of a body."""
    app = FastAPI(title="demo detection service")
    default = confidence

    async def detect(
        request: Request, confidence: Annotated[float | None, Query(ge=0, le=1)] = None
    ) -> Response:
        data = await _picture(request, most_bytes)
        limit = default if confidence is None else confidence
        try:
            found = await asyncio.get_running_loop().run_in_executor(worker, detector.detect, data, limit)
        except ImageProblem as problem:
            raise HTTPException(422, problem.message) from problem
        # json.dumps writes floats so that they come back as they were, and a NaN as NaN.
        return Response(json.dumps({**facts, "detections": found}), media_type="application/json")

    async def health() -> dict[str, Any]:
        return {"status": "ok", **facts}

    app.add_api_route("/detect", detect, methods=["POST"])
    app.add_api_route("/health", health, methods=["GET"])
    return app


async def _picture(request: Request, most_bytes: int) -> bytes:
    """The encoded picture of a request, from a form or bare."""
    body = _limited(request, most_bytes)
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return b"".join([part async for part in body])
    try:
        form = await MultiPartParser(request.headers, body, max_files=1, max_fields=10).parse()
    except (MultiPartException, KeyError) as error:
        raise HTTPException(422, f"not a multipart form ({error})") from error
    try:
        file = form.get(FORM_FIELD)
        if not isinstance(file, UploadFile):
            raise HTTPException(422, f"the form has no file in its field {FORM_FIELD!r}")
        return bytes(await file.read())
    finally:
        await form.close()


async def _limited(request: Request, most_bytes: int) -> AsyncGenerator[bytes, None]:
    """The body as it comes, with an HTTP 413 in its place when it is too large."""
    size = 0
    async for part in request.stream():
        size += len(part)
        if size <= most_bytes:
            yield part
        elif size > DRAINED * most_bytes:
            break
    if size > most_bytes:
        raise HTTPException(413, f"a body of more than {most_bytes} bytes")


def main() -> None:
    """Command line of the service."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="name of a model in the run file")
    parser.add_argument("--run-file", type=Path, default=Path("parity.toml"))
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True, help="0 takes a free one and says which")
    parser.add_argument("--confidence", type=float, default=0.25, help="lower ones are left out")
    parser.add_argument("--rect", action="store_true", help="pad to the smallest rectangle")
    parser.add_argument("--max-megabytes", type=float, default=20.0, help="largest body of a request")
    arguments = parser.parse_args()
    try:
        run_file = load(arguments.run_file, None, None)
        if arguments.model not in run_file.models:
            parser.error(f"{arguments.run_file} has the models {', '.join(run_file.models)}")
        with listening_on(arguments.host, arguments.port) as listening:
            serve(run_file, arguments, listening)
    except ParityError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(error.exit_code)
    except OSError as error:
        parser.error(str(error))


def listening_on(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises RunnerError where it cannot."""
    try:
        return socket.create_server((host, port))
    except OSError as error:
        raise RunnerError(
            f"cannot be listened on: {error.strerror}",
            where=f"{host}:{port}",
            remedy="stop what uses it, or name another --port",
        ) from error


def serve(run_file: RunFile, arguments: argparse.Namespace, listening: socket.socket) -> None:
    """Load the model and answer until Ctrl-C."""
    model = run_file.models[arguments.model]
    facts = {
        "model": arguments.model,
        "weights_sha256": sha256_of_file(model.weights),
        "versions": {name: package_version(name) for name in ("ultralytics", "torch")},
    }
    with ThreadPoolExecutor(1, thread_name_prefix="detector") as worker, suppress(KeyboardInterrupt):
        detector = worker.submit(
            Detector, model, max_detections=run_file.max_detections, rect=arguments.rect
        ).result()
        app = create_app(detector, worker, facts, arguments.confidence, round(arguments.max_megabytes * 1e6))
        sys.stdout.write(f"ready on http://{arguments.host}:{listening.getsockname()[1]}\n")
        sys.stdout.flush()
        uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])


if __name__ == "__main__":
    main()
