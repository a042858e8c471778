"""One model on one Triton server: checked once, then asked many times."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parity.config import Head, ModelConfig, hint
from parity.errors import EvidenceError, RunnerError
from parity.heads import shape_fits
from parity.requests import RequestError, RequestLedger, Retries
from parity.runners.outage import Outage
from parity.runners.triton_contract import Contract, contract_of
from parity.runners.triton_memory import SharedRegions, input_of, output_of
from parity.runners.triton_transport import AWAY, Transport
from parity.visible import one_line

TENSORRT_PLATFORM = "tensorrt_plan"


class TritonClient:
    """A thread-safe client of one model.

    retries: of each request, which is counted in `ledger`. patience: seconds to wait for a server that went
    away. gone: whether it is known that the server has ended for good. shared_memory: whether tensors go
    through it.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        model: str,
        version: str,
        retries: Retries,
        ledger: RequestLedger,
        patience: float,
        gone: Callable[[], bool],
        shared_memory: bool,
    ) -> None:
        self.transport = transport
        self.model = model
        self.version = version
        self.retries = retries
        self.ledger = ledger
        self.outage = Outage(ready=lambda: transport.ready(model, version), gone=gone, patience=patience)
        self.regions = SharedRegions(transport) if shared_memory else None
        self.contract: Contract | None = None
        self.head: tuple[Head, int] | None = None
        self.facts: dict[str, Any] = {}

    @property
    def url(self) -> str:
        """host:port, for messages."""
        return self.transport.connection.address

    def close(self) -> None:
        """Remove shared memory and close the connections."""
        try:
            if self.regions is not None:
                self.regions.close()
        finally:
            self.transport.close()

    def live(self) -> bool:
        """Whether the server says that it is live, within two seconds."""
        return self.transport.live()

    def check(self, model: ModelConfig) -> Contract:
        """Make sure that a Triton is there, has the model ready, and that its tensors are the run file's.

        Raises RunnerError when the server or the model is not there, EvidenceError when tensors differ.
        """
        server = self.transport.metadata()
        if "triton" not in str(server.get("name", "")).lower():
            raise RunnerError(
                f"a server that calls itself {server.get('name')!r}",
                where=self.url,
                expected="a Triton server",
            )
        if not self.transport.ready(self.model, self.version):
            raise self._not_ready()
        metadata = self.transport.model_metadata(self.model, self.version)
        config = self.transport.model_config(self.model, self.version)
        contract = contract_of(metadata, model, self.model, self.url)
        if self.regions is not None and min(contract.output_shape) < 0:
            raise EvidenceError(
                f"the output of the model {self.model!r} has no fixed shape: {list(contract.output_shape)}",
                where=self.url,
                expected="one, since shared memory is laid out before the answer",
                remedy="state the shape in config.pbtxt, or set shared_memory = false",
            )
        self.contract = contract
        self.head = model.head, len(model.names)
        self._remember(server, metadata, config)
        return contract

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Send a float32 batch (n, 3, H, W), as often as it takes; the output is (n, ...).

        May be called from several threads. Raises RequestError.
        """
        contract = self.tensors

        def attempt() -> NDArray[np.float32]:
            self.outage.pass_()
            try:
                return self._once(contract, batch)
            except RequestError as error:
                if error.reason in AWAY:
                    self.outage.notice(error)
                raise

        return self.retries.ask(attempt, self.ledger)

    @property
    def tensors(self) -> Contract:
        """Names and shapes of the model's tensors. Raises RunnerError before `check`."""
        if self.contract is None:
            raise RunnerError("`check` comes before `infer`", where=self.url)
        return self.contract

    def input_of(self, library: Any, batch: NDArray[np.float32]) -> tuple[Any, Any]:
        """A batch as an `InferInput`, and the wanted output, of tritonclient's module for a protocol."""
        contract = self.tensors
        tensor = library.InferInput(contract.input, list(batch.shape), "FP32")
        tensor.set_data_from_numpy(batch)
        return tensor, library.InferRequestedOutput(contract.output)

    def output_of(self, result: Any, images: int) -> NDArray[np.float32]:
        """The output (n, ...) in a result. Raises RequestError when it is not what the head gives."""
        output = result.as_numpy(self.tensors.output)
        if output is None or output.dtype != np.float32 or not self._fits(output.shape, images):
            what = "no output" if output is None else f"{output.dtype} output of shape {output.shape}"
            raise self.transport.connection.error(f"{what} for a batch of {images}", "bad-answer")
        return np.asarray(output, np.float32)

    def provenance(self) -> dict[str, Any]:
        """Server version, model version, platform, backend, tensors and the digest of the configuration."""
        return self.facts

    def _once(self, contract: Contract, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.regions is not None:
            return self._through_memory(self.regions, contract, batch)
        tensor, output = self.input_of(self.transport.library, batch)
        result = self.transport.infer(self.model, self.version, tensor, output)
        return self.output_of(result, len(batch))

    def _through_memory(
        self, regions: SharedRegions, contract: Contract, batch: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        shape = (len(batch), *contract.output_shape)
        size = prod(shape) * batch.itemsize
        with regions.lent(batch.nbytes, size) as region:
            library = self.transport.library
            tensor = input_of(region, library, contract.input, batch)
            region.blank()
            output = output_of(region, library, contract.output, size)
            result = self.transport.infer(self.model, self.version, tensor, output)
            self.check_told(result, shape)
            return region.output(shape)

    def check_told(self, result: Any, shape: tuple[int, ...]) -> None:
        """Raise RequestError unless the server says that it wrote an output of that shape."""
        told = result.get_output(self.tensors.output)
        given = told.get("shape", ()) if isinstance(told, dict) else getattr(told, "shape", ())
        if tuple(map(int, given)) != shape:
            found = f"an output of shape {tuple(given)}, not {shape}"
            raise self.transport.connection.error(found, "bad-answer")

    def _fits(self, shape: tuple[int, ...], images: int) -> bool:
        return self.head is not None and shape[:1] == (images,) and shape_fits(shape[1:], *self.head)

    def _not_ready(self) -> RunnerError:
        """What the server's index says of a model that cannot be asked."""
        index: list[dict[str, Any]] = []
        with suppress(RequestError):  # some servers keep it to themselves
            index = self.transport.index()
        known = sorted({str(entry.get("name")) for entry in index})
        mine = [entry for entry in index if entry.get("name") == self.model]
        versions = [str(entry.get("version", "")) for entry in mine if entry.get("version")]
        if index and not mine:
            found = f"there is no model {self.model!r}{hint(self.model, known)}"
        elif self.version and mine and self.version not in versions:
            found = f"the model {self.model!r} has no version {self.version!r}, only {', '.join(versions)}"
        else:
            state = "; ".join(str(e.get("reason") or e.get("state") or "not loaded") for e in mine)
            version = f" version {self.version}" if self.version else ""
            found = f"the model {self.model!r}{version} is not ready" + (f": {state}" if state else "")
        return RunnerError(
            one_line(found),
            where=self.url,
            expected=f"a model that is ready; the server has {one_line(', '.join(known)) or 'none'}",
            remedy="load it, or name the model in the run file with `model` and `version`",
        )

    def _remember(self, server: dict[str, Any], metadata: dict[str, Any], config: dict[str, Any]) -> None:
        text = json.dumps(config, sort_keys=True).encode()
        self.facts = {
            "protocol": self.transport.connection.wire,
            "tls": self.transport.connection.tls,
            "shared_memory": self.regions is not None,
            "server": f"{server.get('name')} {server.get('version')}",
            "model": self.model,
            "model_versions": metadata.get("versions", []),
            "platform": metadata.get("platform", ""),
            "backend": config.get("backend", ""),
            "tensorrt": TENSORRT_PLATFORM in (metadata.get("platform"), config.get("platform"))
            or config.get("backend") == "tensorrt",
            "device": sorted({str(g.get("kind", "KIND_AUTO")) for g in config.get("instance_group", [])}),
            "max_batch_size": config.get("max_batch_size", 0),
            "served_config_sha256": hashlib.sha256(text).hexdigest(),
        }
