"""The embedded server's own virtual environment: made once, kept in the cache, used again.

It is not the harness's environment: the stub of Triton's Python backend needs NumPy 1 (with NumPy 2 its
output tensors arrive empty), and the harness does not.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parity.errors import RunnerError
from parity.progress import Progress, Silent, Step
from parity.quiet import QUIET
from parity.repository.lock import exclusive
from parity.serving import installer
from parity.serving.interpreter import Interpreter, find_interpreter

REQUIREMENTS = ("nvidia-pytriton==0.7.0", "onnxruntime>=1.20,<2", "numpy>=1.26,<2")
LAYOUT = 1
"""Raised when what is put into the environment changes."""

MARKER = "environment.json"


@dataclass(frozen=True, kw_only=True)
class TritonEnvironment:
    """An installed server. `backends`: what --backend-directory takes. packages: version by distribution."""

    root: Path
    python: Path
    python_version: str
    server: Path
    backends: Path
    library_path: tuple[Path, ...]
    packages: dict[str, str]

    def variables(self) -> dict[str, str]:
        """What the server runs with: this process's environment variables, less what mixes two Pythons."""
        left_out = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LD_PRELOAD"}
        variables = {key: value for key, value in os.environ.items() if key not in left_out}
        libraries = [str(folder) for folder in self.library_path]
        variables["LD_LIBRARY_PATH"] = os.pathsep.join(
            libraries + list(filter(None, [variables.get("LD_LIBRARY_PATH")]))
        )
        # The stub embeds Python and finds the environment through the first python3 on PATH.
        variables["PATH"] = os.pathsep.join([str(self.python.parent), variables.get("PATH", os.defpath)])
        variables["VIRTUAL_ENV"] = str(self.root)
        variables["PYTHONUNBUFFERED"] = "1"
        variables["ORT_DISABLE_TELEMETRY"] = QUIET["ORT_DISABLE_TELEMETRY"]
        return variables


def prepare(cache: Path, progress: Progress | None = None) -> TritonEnvironment:
    """The environment in `cache`, made if it is not there; needs PyPI only then.

    Two processes wait for each other; one that was interrupted is made again. Raises RunnerError when this
    machine cannot run the server, no fitting Python is found, or the installation fails.
    """
    progress = progress or Silent()
    if sys.platform != "linux":
        raise RunnerError(
            f"this machine runs {platform.system()}",
            where="embedded Triton",
            expected="Linux; NVIDIA ships tritonserver for nothing else",
            remedy="name a running server in the run file",
        )
    interpreter = find_interpreter()
    key = json.dumps([LAYOUT, *REQUIREMENTS, interpreter.version, platform.machine()])
    root = cache / f"triton-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
    with exclusive(cache / f".{root.name}.lock"):
        found = _read(root, interpreter)
        if found is not None:
            return found
        with progress.step("installing the embedded Triton (MB)", installer.MEGABYTES) as step:
            shutil.rmtree(root, ignore_errors=True)
            try:
                _build(root, interpreter, step)
            except BaseException:
                shutil.rmtree(root, ignore_errors=True)
                raise
        found = _read(root, interpreter)
        if found is None:
            raise RunnerError(
                "the environment is incomplete although its installation reported success",
                where=str(root),
                remedy="remove this folder and try again",
            )
        return found


def _build(root: Path, interpreter: Interpreter, step: Step) -> None:
    """Install, lay out the backend's folder, and write the marker last; without that nothing counts."""
    installer.install(root, interpreter.path, REQUIREMENTS, step)
    site = root / "lib" / f"python{interpreter.version}" / "site-packages"
    triton = site / "pytriton" / "tritonserver"
    stub = triton / "python_backend_stubs" / interpreter.version / "triton_python_backend_stub"
    backend = root / "backends" / "python"
    try:
        shutil.copytree(triton / "backends" / "python", backend)
        shutil.copy2(stub, backend / stub.name)
        (backend / stub.name).chmod(0o755)
        (triton / "bin" / "tritonserver").chmod(0o755)
        marker = {"packages": _packages(site), "interpreter": str(interpreter.path)}
        (root / f".{MARKER}").write_text(json.dumps(marker, indent=1) + "\n", encoding="utf-8")
        (root / f".{MARKER}").replace(root / MARKER)
    except OSError as error:
        raise RunnerError(
            f"nvidia-pytriton does not hold what was expected: {error}",
            where=str(root),
            expected=f"tritonserver and its Python backend with a stub for Python {interpreter.version}",
        ) from error


def _read(root: Path, interpreter: Interpreter) -> TritonEnvironment | None:
    """The environment at `root`, None unless it is complete."""
    try:
        marker: dict[str, Any] = json.loads((root / MARKER).read_text(encoding="utf-8"))
        packages = {str(name): str(version) for name, version in marker["packages"].items()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None
    site = root / "lib" / f"python{interpreter.version}" / "site-packages"
    environment = TritonEnvironment(
        root=root,
        python=root / "bin" / "python",
        python_version=interpreter.version,
        server=site / "pytriton" / "tritonserver" / "bin" / "tritonserver",
        backends=root / "backends",
        library_path=(*interpreter.library_path, site / "nvidia_pytriton.libs"),
        packages=packages,
    )
    needed = (
        environment.python,
        environment.server,
        environment.backends / "python" / "libtriton_python.so",
        environment.backends / "python" / "triton_python_backend_stub",
        site / "onnxruntime",
        site / "numpy",
    )
    return environment if all(path.exists() for path in needed) else None


def _packages(site: Path) -> dict[str, str]:
    from importlib import metadata

    found = {dist.metadata["Name"]: dist.version for dist in metadata.distributions(path=[str(site)])}
    return dict(sorted(found.items()))
