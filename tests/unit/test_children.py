"""Programs that are run to their end: what they say, how long they may take, that they never stay behind."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from parity import children


def _python(code: str, timeout_s: float = 30.0, pids: list[int] | None = None) -> children.Ended:
    seen = pids if pids is not None else []
    return children.run(
        [sys.executable, "-c", code], environment=dict(os.environ), timeout_s=timeout_s, watch=seen.append
    )


def test_a_program_that_ends_well_has_no_problem() -> None:
    pids: list[int] = []
    ended = _python("import time; print('done'); time.sleep(0.4)", pids=pids)
    assert (ended.problem, ended.tail) == ("", "done")
    assert pids, "it was watched while it ran"


def test_a_failing_program_is_told_with_its_last_lines() -> None:
    ended = _python("import sys; [print(i) for i in range(99)]; sys.exit('broken')")
    assert ended.problem == "ended with status 1"
    assert len(ended.tail.splitlines()) == children.TAIL_LINES
    assert "98" in ended.tail
    assert "broken" in ended.tail


def test_a_program_that_takes_too_long_is_ended() -> None:
    pids: list[int] = []
    started = time.monotonic()
    ended = _python("import time; time.sleep(60)", timeout_s=0.3, pids=pids)
    assert "took longer" in ended.problem
    assert time.monotonic() - started < 30
    assert not Path(f"/proc/{pids[0]}").exists()


def test_a_watcher_that_raises_leaves_no_program_behind() -> None:
    pids: list[int] = []

    def interrupt(pid: int) -> None:
        pids.append(pid)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        children.run(
            [sys.executable, "-c", "import time; time.sleep(60)"],
            environment=dict(os.environ),
            timeout_s=30,
            watch=interrupt,
        )
    assert not Path(f"/proc/{pids[0]}").exists()


def test_a_program_that_is_not_there_is_told() -> None:
    ended = children.run(["/nowhere/at/all"], environment={}, timeout_s=1, watch=lambda _pid: None)
    assert "could not be started: No such file" in ended.problem
