"""Regions of shared memory that are whole from the start, and gone when they are removed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from parity.requests import RequestError
from parity.runners.shared_region import FLOAT, PREFIX, make_region
from parity.serving.process import SHARED_MEMORY

pytestmark = pytest.mark.skipif(not SHARED_MEMORY.is_dir(), reason="no POSIX shared memory as files")


def left() -> list[Path]:
    return list(SHARED_MEMORY.glob(f"{PREFIX}{os.getpid()}_*"))


def test_what_was_put_in_place_is_not_copied_and_anything_else_is() -> None:
    region = make_region(12 * FLOAT, 4 * FLOAT)
    rows = np.arange(12, dtype=np.float32).reshape(3, 4)
    region.put(rows)
    np.testing.assert_array_equal(region.view((3, 4)), rows)
    region.put(region.view((3, 4)))
    np.testing.assert_array_equal(region.view((3, 4)), rows)
    region.put(region.view((3, 4))[::-1])  # the same memory, and another tensor
    np.testing.assert_array_equal(region.view((3, 4)), rows[::-1])
    region.remove()


def test_an_output_is_blank_until_it_is_written_and_a_copy_when_it_is_read() -> None:
    region = make_region(4 * FLOAT, 6 * FLOAT)
    region.put(np.ones(4, np.float32))
    region.blank()
    read = region.output((2, 3))
    assert np.isnan(read).all() and (region.view((4,)) == 1).all()
    region.view((6,), 4 * FLOAT)[:] = 7
    assert np.isnan(read).all() and (region.output((6,)) == 7).all()
    region.remove()


def test_a_removed_region_is_no_file_and_cannot_be_read() -> None:
    region = make_region(FLOAT, FLOAT)
    held = region.view((1,))
    assert len(left()) == 1
    region.remove()
    assert not left(), "though a thread still looks at it"
    held[:] = 1
    del held
    region.remove()
    with pytest.raises(RequestError, match="was removed"):
        region.output((1,))


def test_more_than_there_is_room_for_is_an_error_and_leaves_nothing() -> None:
    room = shutil.disk_usage(SHARED_MEMORY).total
    if not room:
        pytest.skip("shared memory without a limit")
    with pytest.raises(OSError, match="No space left"):
        make_region(2 * room, 0)
    assert not left()
