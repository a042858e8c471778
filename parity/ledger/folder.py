"""Which files of the folder are the ledger's, and what their names say."""

from __future__ import annotations

import re
from pathlib import Path

from parity.ledger.head import HEAD

LOCK = ".lock"
MOST = 999_999
"""Records that names in their order have room for."""

_RECORD = re.compile(r"([0-9]{6})\.json", re.ASCII)
_PARTIAL = re.compile(rf"\.(?:[0-9]{{6}}\.json|{re.escape(HEAD)})\.[0-9]{{1,10}}", re.ASCII)


def record_name(sequence: int) -> str:
    """The file name of a record; names sort by sequence."""
    return f"{sequence:06}.json"


def listing(folder: Path) -> tuple[list[int], list[str], list[Path]]:
    """Sequences of records in their order, names that are not ours, and what writers that were ended left.

    OSError goes through; a folder that does not exist is empty.
    """
    try:
        names = sorted(path.name for path in folder.iterdir())
    except FileNotFoundError:
        return [], [], []
    records, strangers, partials = [], [], []
    for name in names:
        found = _RECORD.fullmatch(name)
        if found is not None and found[1] != record_name(0)[:6]:
            records.append(int(found[1]))
        elif _PARTIAL.fullmatch(name):
            partials.append(folder / name)
        elif name not in {HEAD, LOCK}:
            strangers.append(name)
    return records, strangers, partials
