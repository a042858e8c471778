"""Whatever is changed, removed or exchanged in a ledger is found; whatever a record says is read back."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from parity.ledger import append, examine, read
from parity.ledger.canonical import decode, encode, sha256
from parity.ledger.head import HEAD, Head
from tests.ledger_samples import criterion, ledger_of, record, write_keys

COUNT = 4
SETTINGS = settings(
    deadline=None, max_examples=80, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
NAMES = [f"{number:06}.json" for number in range(1, COUNT + 1)]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@pytest.fixture(scope="module")
def files() -> Iterator[dict[str, bytes]]:
    """A signed ledger, file by file."""
    folder = Path(tempfile.mkdtemp())
    key, _ = write_keys(folder, "key")
    ledger_of(folder / "ledger", COUNT, key)
    yield {name: (folder / "ledger" / name).read_bytes() for name in (*NAMES, HEAD)}
    shutil.rmtree(folder)


def findings(files: dict[str, bytes]) -> set[str]:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        return {finding.code for finding in examine(Path(folder)).findings}


def crashed(files: dict[str, bytes]) -> dict[str, bytes]:
    """The same ledger, had its last writer ended before it counted its record."""
    digests = [sha256(files[name]) for name in NAMES]
    head = Head(count=COUNT - 1, digest=digests[-2], pending=digests[-1])
    return {**files, HEAD: head.to_bytes()}


def test_a_whole_ledger_has_no_finding(files: dict[str, bytes]) -> None:
    assert findings(files) == set() == findings(crashed(files))


@SETTINGS
@given(data=st.data(), name=st.sampled_from(NAMES), after_crash=st.booleans())
def test_a_changed_byte_of_any_record(
    files: dict[str, bytes], data: st.DataObject, name: str, after_crash: bool
) -> None:
    whole = crashed(files) if after_crash else files
    place = data.draw(st.integers(0, len(whole[name]) - 1))
    byte = data.draw(st.integers(0, 255))
    assume(byte != whole[name][place])
    changed = whole[name][:place] + bytes([byte]) + whole[name][place + 1 :]
    assert findings({**whole, name: changed}) != set()


@SETTINGS
@given(data=st.data())
def test_a_changed_byte_of_the_head(files: dict[str, bytes], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(files[HEAD]) - 1))
    byte = data.draw(st.integers(0, 255))
    assume(byte != files[HEAD][place])
    assert findings({**files, HEAD: files[HEAD][:place] + bytes([byte]) + files[HEAD][place + 1 :]}) != set()


@SETTINGS
@given(data=st.data(), name=st.sampled_from([*NAMES, HEAD]))
def test_bytes_removed_or_put_in(files: dict[str, bytes], data: st.DataObject, name: str) -> None:
    start = data.draw(st.integers(0, len(files[name])))
    end = data.draw(st.integers(start, len(files[name])))
    changed = files[name][:start] + data.draw(st.binary(max_size=4)) + files[name][end:]
    assume(changed != files[name])
    assert findings({**files, name: changed}) != set()


@SETTINGS
@given(order=st.permutations(NAMES))
def test_any_other_order(files: dict[str, bytes], order: list[str]) -> None:
    assume(order != NAMES)
    exchanged = {name: files[other] for name, other in zip(NAMES, order, strict=True)}
    assert findings({**exchanged, HEAD: files[HEAD]}) != set()


@SETTINGS
@given(kept=st.sets(st.sampled_from([*NAMES, HEAD])), moved_up=st.booleans())
def test_any_removal(files: dict[str, bytes], kept: set[str], moved_up: bool) -> None:
    """But of everything at once, after which the ledger is empty, and that is not clean either."""
    assume(0 < len(kept) < len(files))
    left = [files[name] for name in NAMES if name in kept]
    names = NAMES[: len(left)] if moved_up else [name for name in NAMES if name in kept]
    rest = dict(zip(names, left, strict=True))
    assert findings(rest if HEAD not in kept else {**rest, HEAD: files[HEAD]}) != set()


@SETTINGS
@given(value=JSON)
def test_a_value_has_one_spelling(value: object) -> None:
    content = encode(value)
    assert encode(decode(content)) == content
    assert content.isascii() and b"\n" not in content


@settings(SETTINGS, max_examples=40)
@given(
    observed=st.none() | st.floats(allow_nan=False, allow_infinity=False),
    texts=st.tuples(st.text(), st.text(), st.text(min_size=1)),
)
def test_what_a_record_says_is_read_back(observed: float | None, texts: tuple[str, str, str]) -> None:
    """Any number and any text, lone surrogates and secrets among them."""
    given_record = record(
        criteria=(criterion(observed=observed, message=texts[0]),), command=texts[1], override=texts[2]
    )
    with tempfile.TemporaryDirectory() as folder:
        digest = append(Path(folder) / "ledger", given_record)
        (stored,) = read(Path(folder) / "ledger")
    assert stored.digest == digest
    assert stored.entry.criteria[0].observed == observed
    assert stored.entry.model_dump(exclude={"sequence", "previous"}) == (
        given_record.without_secrets().model_dump()
    )
