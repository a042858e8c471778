"""Compiling the inner loops: one decorator, so that every kernel has the same arithmetic and cache rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile a function with Numba at its first call, and keep the machine code on disk where possible.

    IEEE arithmetic is kept as written (no fast-math, so no fused or reordered operations), a division by
    zero gives inf or NaN as in C, and the GIL is released, so that threads can share the work.

    Numba keeps the code beside the source, or in the user's cache folder when that is read-only, or in
    NUMBA_CACHE_DIR. It raises when it can write to none of them, as in a container with a read-only root
    and no home; then the code is compiled anew in each process, which costs seconds but nothing else.

    Numba notices a change of the file that holds a kernel, and not of other files: a kernel may call other
    kernels of its own module only.
    """
    try:
        cached: F = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:
        fresh: F = numba.njit(nogil=True, error_model="numpy")(function)
        return fresh
    return cached
