"""The server's environment: which Python, what a failed installation says, what counts as complete."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from parity.errors import RunnerError
from parity.serving import environment as module
from parity.serving import installer as installers
from parity.serving import interpreter as interpreters
from parity.serving.environment import MARKER, TritonEnvironment, prepare
from parity.serving.interpreter import SUPPORTED, find_interpreter

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the embedded server is Linux only")


def test_the_interpreter_fits_numpy_1() -> None:
    found = find_interpreter()
    assert found.version in SUPPORTED
    assert found.path.exists()


@pytest.mark.parametrize(
    ("fact", "reason"),
    [
        ({"implementation": "cpython", "version": "3.13", "loads": True}, "is Python 3.13"),
        ({"implementation": "pypy", "version": "3.10", "loads": True}, "is pypy"),
        ({"implementation": "cpython", "version": "3.11", "loads": False}, "has no shared library"),
        ({"implementation": "cpython", "version": "3.12", "loads": True}, None),
    ],
)
def test_why_an_interpreter_does_not_fit(fact: dict[str, object], reason: str | None) -> None:
    assert interpreters._unfit(fact) == reason


def test_no_fitting_python_names_what_was_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = tmp_path / "python3.11"
    odd.write_text(
        "#!/bin/sh\n"
        'echo \'{"implementation": "cpython", "version": "3.11", "loads": false, "folders": []}\'\n'
    )
    odd.chmod(0o755)
    broken = tmp_path / "python3.12"
    broken.write_text("#!/bin/sh\nexit 127\n")
    broken.chmod(0o755)
    monkeypatch.setattr(interpreters, "_candidates", lambda: iter([odd, broken, tmp_path / "none"]))
    with pytest.raises(RunnerError, match="no fitting Python") as caught:
        find_interpreter()
    assert "has no shared library" in str(caught.value)
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_failed_installation_shows_the_installer_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installer: str
) -> None:
    if installer == "pip":
        monkeypatch.setattr(installers, "_uv", lambda: None)
    elif installers._uv() is None:
        pytest.skip("uv is not installed")
    nowhere = "http://127.0.0.1:9/"
    for key in ("UV_INDEX_URL", "UV_DEFAULT_INDEX", "PIP_INDEX_URL"):
        monkeypatch.setenv(key, nowhere)
    for key in ("PIP_EXTRA_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_INDEX", "PIP_FIND_LINKS", "UV_FIND_LINKS"):
        monkeypatch.delenv(key, raising=False)
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    with pytest.raises(RunnerError, match="installing the embedded Triton failed") as caught:
        prepare(tmp_path / "cache")
    assert "127.0.0.1" in str(caught.value) or "nvidia-pytriton" in str(caught.value)
    assert [path for path in (tmp_path / "cache").iterdir() if not path.name.endswith(".lock")] == []


def test_an_unfinished_environment_does_not_count(tmp_path: Path) -> None:
    found = find_interpreter()
    (tmp_path / "bin").mkdir()
    assert module._read(tmp_path, found) is None
    (tmp_path / MARKER).write_text('{"packages": {}}')
    assert module._read(tmp_path, found) is None, "the marker is there, the server is not"


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunnerError, match="cannot be written"):
        prepare(tmp_path / "file")


def test_the_servers_variables_do_not_mix_two_pythons(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("PYTHONHOME", "/elsewhere")
    made = TritonEnvironment(
        root=tmp_path,
        python=tmp_path / "bin" / "python",
        python_version="3.11",
        server=tmp_path / "tritonserver",
        backends=tmp_path / "backends",
        library_path=(tmp_path / "a", tmp_path / "b"),
        packages={},
    )
    variables = made.variables()
    assert not {"PYTHONPATH", "PYTHONHOME"} & set(variables)
    assert variables["LD_LIBRARY_PATH"].startswith(f"{tmp_path}/a:{tmp_path}/b")
    assert variables["ORT_DISABLE_TELEMETRY"] == "1"
    assert variables["PATH"].split(os.pathsep)[0] == str(tmp_path / "bin")
