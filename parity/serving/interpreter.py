"""Which Python the embedded server runs on: 3.10 to 3.12, with its shared library."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parity.errors import RunnerError

SUPPORTED = ("3.12", "3.11", "3.10")
"""Versions for which both NumPy 1 has wheels and nvidia-pytriton a stub; 3.13 lacks the first."""

_PROBE = """
import ctypes, json, os, sys, sysconfig
name = sysconfig.get_config_var("INSTSONAME") or ""
folders = [os.path.join(sys.base_prefix, "lib"), sysconfig.get_config_var("LIBDIR") or ""]
folders = [folder for folder in dict.fromkeys(folders) if os.path.isfile(os.path.join(folder, name))]
try:
    ctypes.CDLL(os.path.join(folders[0], name) if folders else name)
    loads = ".so" in name
except OSError:
    loads = False
print(json.dumps({"version": "%d.%d" % sys.version_info[:2], "folders": folders, "loads": loads,
                  "path": sys.executable, "implementation": sys.implementation.name}))
"""


@dataclass(frozen=True, kw_only=True)
class Interpreter:
    """A Python that the stub can embed.

    library_path: folders that hold its libpython, none when the system's loader finds it.
    """

    path: Path
    version: str
    library_path: tuple[Path, ...]


def find_interpreter() -> Interpreter:
    """This Python where it fits, else another one on this machine. Raises RunnerError when there is none."""
    tried = []
    seen = set()
    for path in _candidates():
        if path.resolve() in seen:
            continue
        seen.add(path.resolve())
        fact = _probe(path)
        if fact is None:
            continue
        reason = _unfit(fact)
        if reason is None:
            folders = tuple(Path(folder) for folder in fact["folders"])
            return Interpreter(path=path, version=fact["version"], library_path=folders)
        tried.append(f"{path} {reason}")
    raise RunnerError(
        "no fitting Python on this machine" + "".join(f"\n  {line}" for line in tried),
        where="embedded Triton",
        expected=f"CPython {', '.join(reversed(SUPPORTED))} with its shared library (libpython)",
        remedy="install one (for example `uv python install 3.12`, or apt install libpython3.11)",
    )


def _candidates() -> Iterator[Path]:
    """Interpreters in order of preference: this one, those on PATH, those installed beside this one."""
    yield Path(sys.executable)
    for version in SUPPORTED:
        if found := shutil.which(f"python{version}"):
            yield Path(found)
    # pyenv and uv keep every version in a folder beside the others; their commands need not be on PATH.
    for parent in (Path(sys.base_prefix).parent, Path.home() / ".local/share/uv/python"):
        for version in SUPPORTED:
            yield from sorted(parent.glob(f"*/bin/python{version}"), reverse=True)


def _probe(path: Path) -> dict[str, Any] | None:
    """What the interpreter says of itself, None when it does not run."""
    try:
        done = subprocess.run(
            [str(path), "-I", "-c", _PROBE],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=30,
        )
        fact: dict[str, Any] = json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return None
    return fact


def _unfit(fact: dict[str, Any]) -> str | None:
    """Why the stub cannot embed it, None when it can."""
    if fact["implementation"] != "cpython":
        return f"is {fact['implementation']}"
    if fact["version"] not in SUPPORTED:
        return f"is Python {fact['version']}"
    if not fact["loads"]:
        return "has no shared library"
    return None
