"""Runs a module of this package in a process of its own: a request goes in, an answer or its error comes out.

Exporting and building load libraries that change global state, talk on stdout, or end the process when they
fail; none of that may reach the caller.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from parity import children
from parity.errors import EvidenceError, ParityError, RunnerError, UsageError
from parity.progress import Step
from parity.quiet import QUIET

STAGES = "stages"
"""The file beside the request that grows by one byte with each unit done."""

TIMEOUT_S = 1800.0

_KINDS: dict[str, type[ParityError]] = {"usage": UsageError, "evidence": EvidenceError, "runner": RunnerError}
_PR_SET_PDEATHSIG = 1


def run_worker(
    module: str,
    work: Path,
    request: Mapping[str, Any],
    step: Step,
    *,
    shown: str,
    variables: Mapping[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> dict[str, Any]:
    """Run `module` on the request in the folder `work`; its answer, or the error that it reports.

    shown: what errors name as their place. variables: added to the environment. Raises RunnerError with the
    process' last words when it ends without an answer.
    """
    path = work / "request.json"
    path.write_text(json.dumps(request), encoding="utf-8")
    root = str(Path(__file__).resolve().parents[2])
    search = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, **QUIET, **(variables or {}), "PYTHONPATH": search}
    stages, told = work / STAGES, 0

    def watch(_pid: int) -> None:
        nonlocal told
        done = stages.stat().st_size if stages.exists() else 0
        step.advance(done - told)
        told = done

    ended = children.run(
        [sys.executable, "-m", module, str(path)],
        environment=environment,
        timeout_s=timeout_s,
        watch=watch,
        folder=work,
    )
    answer_path = work / "answer.json"
    if ended.problem or not answer_path.is_file():
        raise RunnerError(
            f"the process {ended.problem or 'ended without an answer'}; its last words:\n{ended.tail}",
            where=shown,
        )
    answer: dict[str, Any] = json.loads(answer_path.read_text(encoding="utf-8"))
    if "error" in answer:
        told_error = answer["error"]
        raise _KINDS[told_error.pop("kind")](told_error.pop("found"), **told_error)
    return answer


def serve(argument: str, work: Callable[[dict[str, Any], Callable[[], None]], dict[str, Any]]) -> int:
    """The worker's side: do what the request file says; 0 when answered, also with a foreseen error.

    work: takes the request and a function that tells that one more unit is done; returns the answer.
    """
    _die_with_parent()
    path = Path(argument)
    request = json.loads(path.read_text(encoding="utf-8"))

    def done() -> None:
        with (path.parent / STAGES).open("ab") as stages:
            stages.write(b".")

    try:
        answer = work(request, done)
    except ParityError as error:
        kind = next(name for name, family in _KINDS.items() if isinstance(error, family))
        answer = {"error": {"kind": kind, **vars(error)}}
    (path.parent / "answer.json").write_text(json.dumps(answer), encoding="utf-8")
    return 0


def _die_with_parent() -> None:
    """A killed run must not leave a process behind that keeps the processor busy."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
