"""Which folders are models and versions, and which file of a version Triton loads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from parity.repository.check.files import Unreadable, can_be_entered
from parity.repository.manifest import PLAN_NAME


def is_version(name: str) -> bool:
    """Whether Triton takes a folder of this name for a version."""
    return re.fullmatch("[1-9][0-9]{0,17}", name, re.ASCII) is not None


def subfolders(folder: Path) -> list[Path]:
    """Folders directly inside, sorted by name, without hidden ones. Raises Unreadable.

    What cannot be looked at is taken for a folder, since Triton may be able to.
    """
    try:
        found = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror}", folder) from error
    if not can_be_entered(folder):
        raise Unreadable("cannot be entered", folder)
    return [path for path in found if _may_be_folder(path)]


def _may_be_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except PermissionError:
        return True
    except OSError:
        return False


def version_folders(folder: Path) -> list[Path]:
    """Folders of versions in the order of their numbers; none where the folder cannot be read."""
    try:
        return sorted((p for p in subfolders(folder) if is_version(p.name)), key=lambda path: int(path.name))
    except Unreadable:
        return []  # the folder's own check says so


def plan_name(config: Any | None) -> str:
    """The file that Triton loads of a version folder."""
    return PLAN_NAME if config is None else str(config.default_model_filename or PLAN_NAME)
