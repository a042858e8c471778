"""Where the machine code of kernels is kept: never where others could have put theirs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from parity.compiled import private_folder

REPOSITORY = Path(__file__).parents[2]
KERNEL = """
from parity.compiled import compiled, helper

@helper
def _doubled(x):
    return 2 * x

@compiled
def kernel(x):
    return _doubled(x) + 1
"""
CALL = """
import json
{before}
import tiny
value = tiny.kernel(20)
stats = tiny.kernel.stats
folder = getattr(tiny.kernel._cache, "cache_path", None)
print(json.dumps([value, sum(stats.cache_hits.values()), folder]))
"""
NO_USER = """
import pwd
def unknown(uid):
    raise KeyError(uid)
pwd.getpwuid = unknown
"""


@dataclass
class Call:
    """What one process got: the kernel's value, whether its code came from a file, and the code's folder."""

    value: int
    hits: int
    folder: str | None


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with a kernel in which nothing can be cached, not even by root: __pycache__ is a file."""
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "tiny.py").write_text(KERNEL)
    (folder / "__pycache__").touch()
    return folder


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir(mode=0o700)
    return folder


def call(source: Path, temporary: Path, home: Path | None, before: str = "") -> Call:
    """Import and call the kernel in a new process, with `temporary` as the system's temporary folder."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("NUMBA", "XDG", "HOME"))
    }
    path = os.pathsep.join([str(source), str(REPOSITORY)])
    extra = {"TMPDIR": str(temporary), "PYTHONPATH": path, **({} if home is None else {"HOME": str(home)})}
    done = subprocess.run(
        [sys.executable, "-c", CALL.format(before=before)],
        env={**kept, **extra}, cwd=temporary, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Call(*json.loads(done.stdout))


def own(temporary: Path) -> Path:
    return temporary / f"parity-numba-{os.getuid()}"


def test_code_is_kept_beside_the_source(source: Path, temporary: Path, tmp_path: Path) -> None:
    (source / "__pycache__").unlink()
    found = call(source, temporary, tmp_path)
    assert found == Call(41, 0, str(source / "__pycache__"))
    assert list(temporary.iterdir()) == []


def test_code_is_kept_for_the_user_alone_where_neither_source_nor_home_can_be_written(
    source: Path, temporary: Path
) -> None:
    home = source / "tiny.py"  # Nothing can be made in a file.
    first, second = call(source, temporary, home), call(source, temporary, home)
    assert [first.value, first.hits, second.value, second.hits] == [41, 0, 41, 1]
    assert first.folder is not None and Path(first.folder).parent == own(temporary)
    assert own(temporary).stat().st_mode & 0o777 == 0o700


def test_without_a_home_nothing_is_put_into_the_current_folder(source: Path, temporary: Path) -> None:
    found = call(source, temporary, None, before=NO_USER)
    assert found.value == 41
    assert list(temporary.iterdir()) == [own(temporary)]


def test_a_kernel_runs_uncached_rather_than_with_code_from_a_folder_open_to_others(
    source: Path, temporary: Path
) -> None:
    own(temporary).mkdir()
    own(temporary).chmod(0o770)
    assert call(source, temporary, source / "tiny.py") == Call(41, 0, None)
    assert list(own(temporary).iterdir()) == []


@pytest.fixture
def as_temporary(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    return temporary


def test_the_folder_is_made_once(as_temporary: Path) -> None:
    assert private_folder() == own(as_temporary) == private_folder()


def test_a_link_is_refused(as_temporary: Path, tmp_path: Path) -> None:
    (tmp_path / "target").mkdir(mode=0o700)
    own(as_temporary).symlink_to(tmp_path / "target")
    assert private_folder() is None


def test_a_file_is_refused(as_temporary: Path) -> None:
    own(as_temporary).touch(mode=0o700)
    assert private_folder() is None


def test_a_folder_of_somebody_else_is_refused(as_temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Seen by another user, this one's folder is somebody else's.
    other = os.getuid() + 1
    (as_temporary / f"parity-numba-{other}").mkdir(mode=0o700)
    as_temporary.chmod(0o1777)
    monkeypatch.setattr("parity.compiled.os.getuid", lambda: other)
    monkeypatch.setattr("parity.compiled._ROOT", as_temporary.stat().st_uid)
    assert private_folder() is None


@pytest.mark.parametrize(("mode", "safe"), [(0o777, False), (0o770, False), (0o1777, True), (0o755, True)])
def test_the_folder_above_must_not_let_others_exchange_it(as_temporary: Path, mode: int, safe: bool) -> None:
    as_temporary.chmod(mode)
    assert (private_folder() is not None) == safe


def test_there_may_be_no_temporary_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    assert private_folder() is None
