"""docs/ledger.md explains every code."""

from __future__ import annotations

import re
from pathlib import Path

from parity.ledger import CODES


def test_the_document_has_the_table_of_codes() -> None:
    rows = re.findall(r"^\| ([A-Z_]+) \| (.+) \|$", Path("docs/ledger.md").read_text("utf-8"), re.MULTILINE)
    assert dict(rows) == CODES
