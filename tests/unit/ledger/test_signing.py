"""DSSE by its published vectors, keys from files, and signatures of other keys."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from parity.errors import EvidenceError, UsageError
from parity.ledger import PublicKey, SigningKey, append, public_key, read, signing_key
from parity.ledger.chain import to_file
from parity.ledger.dsse import PAYLOAD_TYPE, Envelope, Signature, pae, seal, signers
from parity.ledger.keys import LARGEST
from tests.ledger_samples import PHASE, REPOSITORY, ledger_of, record, write_keys

# Keys of RFC 8032, section 7.1 (tests 1 and 2), with which secure-systems-lab/dsse signs its test vectors.
SEEDS = {
    "A": "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    "B": "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
}
STATEMENT = "eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEifQ=="
BY_A = "2WAfaHm5jluo0w+0rk8uVkluELJYWjSmU9x7EUzx+AyteDGJ4/nqyJXfmAUVFIAoQafWm7AxBZNw5M9ixNHiCA=="
BY_B = "c1+67/aT0yqEpwx8PsVY3MLHsj9D0CZ014/Fv/QlG59P+9CobUZ7xECJ/V3USG0Ob9CiE5LjReEZUzNF2l7eBw=="
URL_SAFE = "P-_KHICeR7tI6S_YyejJTRtrXhcQyQ2LYPaL8h90KjC9qN8HU_svOQ6TuDOT1HIrsGW886DbWNWcCmX5twLrAw=="
NOT_ASCII = "xmSk/ug66ysT7ayhkCIjhAq42zgZXSsEWuzUaNL7w2eGAdF/NU6/fRXPtmfN+5DNSAs5/i2lUnHjbbjPsu0tAw=="
NO_PAYLOAD = "gSggCAaTLTYyRH6FIDBem6meyIynsYy8RTHVzwx9tnTb7Bg/1jMWnuVgI/gffqmbsC2VX5/jHfkkDqsj7CDbDg=="


def private(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(SEEDS[name]))


def trusted(names: str) -> list[PublicKey]:
    return [PublicKey(private(name).public_key()) for name in names]


@pytest.mark.parametrize(
    ("kind", "payload", "signatures", "keys", "by"),
    [
        (PAYLOAD_TYPE, STATEMENT, {"A": BY_A}, "A", "A"),
        (PAYLOAD_TYPE, "-_-_Pj8=", {"A": URL_SAFE}, "A", "A"),
        ("application/vnd.example.other+json", STATEMENT, {"A": BY_A}, "A", ""),
        ("application/vnd.exämple+json", STATEMENT, {"A": NOT_ASCII}, "A", "A"),
        (PAYLOAD_TYPE, "", {"A": NO_PAYLOAD}, "A", "A"),
        (PAYLOAD_TYPE, STATEMENT, {"A": BY_A, "B": BY_B}, "AB", "AB"),
        (PAYLOAD_TYPE, STATEMENT, {"A": BY_A, "B": BY_A}, "AB", "A"),
        (PAYLOAD_TYPE, STATEMENT, {"": BY_A}, "AB", "A"),
        (PAYLOAD_TYPE, STATEMENT, {"B": BY_A}, "B", ""),
        (PAYLOAD_TYPE, STATEMENT, {"A": "?"}, "A", ""),
        (PAYLOAD_TYPE, STATEMENT, {"A": ""}, "A", ""),
        (PAYLOAD_TYPE, STATEMENT, {}, "A", ""),
        (PAYLOAD_TYPE, STATEMENT, {"A": BY_A}, "", ""),
    ],
)
def test_the_published_vectors(
    kind: str, payload: str, signatures: dict[str, str], keys: str, by: str
) -> None:
    """secure-systems-lab/dsse, testvectors/vectors.json, and more: which keys signed, whatever they name."""
    listed = tuple(Signature(keyid=keyid, sig=sig) for keyid, sig in signatures.items())
    envelope = Envelope(payload=payload, payloadType=kind, signatures=listed)
    assert signers(envelope, trusted(keys)) == {key.keyid for key in trusted(by)}


def test_what_is_signed() -> None:
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
    assert pae("é", b"") == b"DSSEv1 2 \xc3\xa9 0 "


def test_a_signature_is_the_published_one() -> None:
    envelope = seal(base64.b64decode(STATEMENT), SigningKey(private("A")))
    assert (envelope.payload, envelope.payloadType) == (STATEMENT, PAYLOAD_TYPE)
    assert [signature.sig for signature in envelope.signatures] == [BY_A]


def test_other_tools_find_a_verdict_by_its_engine(tmp_path: Path) -> None:
    signer, _ = write_keys(tmp_path, "mine")
    append(tmp_path / "ledger", record(), signer)
    document = json.loads((tmp_path / "ledger" / "000001.json").read_bytes())
    assert sorted(document) == ["payload", "payloadType", "signatures"]
    assert sorted(document["signatures"][0]) == ["keyid", "sig"]
    statement = json.loads(base64.b64decode(document["payload"]))
    assert sorted(statement) == ["_type", "predicate", "predicateType", "subject"]
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "urn:triton-parity:verdict:v1"
    assert statement["predicate"]["phase"] == PHASE
    assert {each["name"]: each["digest"]["sha256"] for each in statement["subject"]} == {
        file.path: file.sha256 for file in REPOSITORY.files
    }


def test_each_record_needs_a_signature_by_an_accepted_key(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    mine, mine_public = write_keys(tmp_path, "mine")
    _, other = write_keys(tmp_path, "other")
    ledger_of(folder, 2, mine)
    assert len(read(folder, [mine_public])) == len(read(folder, [other, mine_public])) == 2
    with pytest.raises(EvidenceError, match=r"2 things are wrong\n  - OTHER_KEY 000001.json: signed by"):
        read(folder, [other])
    append(folder, record())
    with pytest.raises(EvidenceError, match=r"1 thing is wrong\n  - UNSIGNED 000003.json"):
        read(folder, [mine_public])
    assert len(read(folder)) == 3


def test_a_signature_of_another_record_is_none(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    mine, public = write_keys(tmp_path, "mine")
    one, two = (seal(b"{}", mine), seal(b"{} ", mine))
    assert signers(one, [public]) == {public.keyid} == {mine.keyid}
    assert signers(one.model_copy(update={"signatures": two.signatures}), [public]) == frozenset()
    append(folder, record(), mine)
    (stored,) = read(folder, [public])
    swapped = to_file(stored.envelope.model_copy(update={"signatures": one.signatures}))
    (folder / "000001.json").write_bytes(swapped)
    with pytest.raises(EvidenceError, match=r"BAD_SIGNATURE 000001.json"):
        read(folder, [public])
    with pytest.raises(EvidenceError, match="HEAD_MISMATCH"):
        read(folder)


def test_the_key_of_the_environment(tmp_path: Path) -> None:
    mine, _ = write_keys(tmp_path, "mine")
    other, _ = write_keys(tmp_path, "other")
    named = {"PARITY_SIGNING_KEY": str(tmp_path / "mine.pem")}
    found = signing_key(None, named)
    assert found is not None and found.keyid == mine.keyid
    found = signing_key(tmp_path / "other.pem", named)
    assert found is not None and found.keyid == other.keyid
    assert signing_key(None, {}) is signing_key(None, {"PARITY_SIGNING_KEY": ""}) is None


def test_a_file_that_holds_no_private_key(tmp_path: Path) -> None:
    write_keys(tmp_path, "mine")
    elliptic = ec.generate_private_key(ec.SECP256R1())
    pem, pkcs8 = Encoding.PEM, PrivateFormat.PKCS8
    contents = {
        "empty": b"",
        "public": (tmp_path / "mine.pub.pem").read_bytes(),
        "cut": (tmp_path / "mine.pem").read_bytes()[:60],
        "elliptic": elliptic.private_bytes(pem, pkcs8, NoEncryption()),
        "encrypted": private("A").private_bytes(pem, pkcs8, BestAvailableEncryption(b"x")),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UsageError, match="no Ed25519 private key") as error:
            signing_key(tmp_path / name, {})
        shown = f"{error.value} {error.value.__context__!r}"
        assert not [line for line in content.decode().splitlines()[1:-1] if line in shown]
    with pytest.raises(UsageError, match="No such file"):
        signing_key(tmp_path / "none", {})
    (tmp_path / "large").write_bytes(bytes(LARGEST + 1))
    with pytest.raises(UsageError, match="over the limit"):
        signing_key(tmp_path / "large", {})


def test_a_file_that_holds_no_public_key(tmp_path: Path) -> None:
    write_keys(tmp_path, "mine")
    with pytest.raises(UsageError, match="a private key"):
        public_key(tmp_path / "mine.pem")
    elliptic = ec.generate_private_key(ec.SECP256R1()).public_key()
    (tmp_path / "ec").write_bytes(elliptic.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    (tmp_path / "empty").write_bytes(b"")
    for name in ("ec", "empty"):
        with pytest.raises(UsageError, match="no Ed25519 public key"):
            public_key(tmp_path / name)


def test_nothing_heavy_is_loaded_without_a_key() -> None:
    """Also where cryptography is not installed: the ledger is read, and a key says what is missing."""
    script = """
import sys
from pathlib import Path
sys.modules["cryptography"] = None
from parity.errors import RunnerError
from parity.ledger import public_key, read, signing_key
assert read(Path("does-not-exist")) == [] and signing_key(None, {}) is None
try:
    public_key(Path("pyproject.toml"))
except RunnerError as error:
    print(error)
heavy = {"torch", "ultralytics", "tritonclient", "onnx", "numba", "scipy", "pandas", "pyarrow", "cv2", "rich"}
print("loaded:", sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )
    assert "pip install 'triton-parity[sign]'" in done.stdout
    assert "loaded: []" in done.stdout
