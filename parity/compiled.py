"""Compiling the inner loops: so that every kernel has the same arithmetic and cache rules.

Compiling takes seconds, which the first run pays, and most of them go not into loops but into what Numba
compiles anew for every type it meets. So kernels do with elements of arrays: allocating, slicing, filling,
`min`, `max` and reductions are left to the Python function around a kernel, and what a kernel returns is in
arrays that it is given.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba

F = TypeVar("F", bound=Callable[..., Any])
_ROOT = 0


def compiled(function: F) -> F:
    """Compile a function with Numba at its first call, and keep the machine code on disk where possible.

    IEEE arithmetic is kept as written (no fast-math, so no fused or reordered operations), a division by
    zero gives inf or NaN as in C, and the GIL is released, so that threads can share the work.

    Numba keeps the code beside the source, or in the user's cache folder when that is read-only, or in
    NUMBA_CACHE_DIR. Where it can write to none of them, as in a container with a read-only root and no home,
    the code is kept in `private_folder()`; without that it is compiled anew in each process, which costs
    seconds but nothing else.

    Numba notices a change of the file that holds a kernel, and not of other files: a kernel may call
    functions of its own module only, each one a `helper`.
    """
    if _home_is_known() or numba.config.CACHE_DIR:
        try:
            return _njit(function, nogil=True, cache=True)
        except RuntimeError:
            pass
    given = numba.config.CACHE_DIR
    folder = private_folder()
    if folder is not None:
        numba.config.CACHE_DIR = str(folder)
        try:
            return _njit(function, nogil=True, cache=True)
        except RuntimeError:
            pass
        finally:
            numba.config.CACHE_DIR = given
    return _njit(function, nogil=True)


def helper(function: F) -> F:
    """Compile a part of the kernels of the same module, which cannot be called from Python then.

    Every list of argument types costs another compilation, and so does, in part, every place of a call.
    """
    return _njit(function, no_cpython_wrapper=True)


def private_folder() -> Path | None:
    """A folder for machine code in the system's temporary folder, which nobody else can write to, or None.

    Code is loaded as pickles, so a link, or what belongs to others or is open to them, is refused.
    """
    try:
        parent = Path(tempfile.gettempdir())
        folder = parent / f"parity-numba-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        above, own = parent.stat(), folder.lstat()
    except OSError:
        return None
    # Without the sticky bit, others could put a folder of theirs in its place.
    exchangeable = above.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not above.st_mode & stat.S_ISVTX
    if exchangeable or above.st_uid not in (_ROOT, os.getuid()):
        return None
    if not stat.S_ISDIR(own.st_mode) or own.st_uid != os.getuid() or stat.S_IMODE(own.st_mode) & 0o077:
        return None
    return folder


def _home_is_known() -> bool:
    """Whether there is a cache folder of the user; else Numba would make one named ~ in the current one."""
    return "XDG_CACHE_HOME" in os.environ or Path(os.path.expanduser("~")).is_absolute()  # noqa: PTH111


def _njit(function: F, **options: bool) -> F:
    # Nothing calls kernels from C.
    made: F = numba.njit(error_model="numpy", no_cfunc_wrapper=True, **options)(function)
    return made
