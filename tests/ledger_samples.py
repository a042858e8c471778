"""Records, keys and ledgers to test with; what a record says is made up, how it is kept is not."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from parity.ledger import (
    CriterionRecord,
    DatasetDigest,
    FileDigest,
    PolicyDigest,
    Record,
    RepositoryDigest,
    SigningKey,
    append,
    public_key,
    signing_key,
)
from parity.ledger.keys import PublicKey
from parity.outcome import Outcome

PHASE = "canary-10"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


REPOSITORY = RepositoryDigest.of(
    {"yolo26/config.pbtxt": digest("config"), "yolo26/1/model.plan": digest("plan")}, ("yolo26/2",)
)


def criterion(outcome: Outcome = Outcome.PASS, **changed: Any) -> CriterionRecord:
    given = {
        "model": "yolo26",
        "name": "map_variance",
        "outcome": outcome,
        "observed": 0.0123,
        "limit": 0.1,
        "unit": "%",
        "message": "AP changed by 0.0123 %.",
    }
    return CriterionRecord.model_validate({**given, **changed})


def record(outcome: Outcome = Outcome.PASS, **changed: Any) -> Record:
    given = {
        "phase": PHASE,
        "outcome": outcome,
        "models": ("yolo26",),
        "criteria": (criterion(outcome),),
        "repository": REPOSITORY,
        "dataset": DatasetDigest(name="street", images=digest("images"), annotations=digest("annotations")),
        "policy": PolicyDigest(name=PHASE, sha256=digest("policy")),
        "evidence": (FileDigest(path="reports/run/report.json", sha256=digest("report")),),
        "versions": {"triton-parity": "0.1.0"},
        "user": "ada",
        "host": "bench",
        "command": "parity gate canary-10",
    }
    return Record.model_validate({**given, **changed})


def write_evidence(root: Path) -> None:
    """The file that `record` names."""
    path = root / "reports" / "run" / "report.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("report")


def ledger_of(folder: Path, count: int, key: SigningKey | None = None) -> list[str]:
    """A ledger of so many records, each but the first resting on the one before; their digests."""
    digests: list[str] = []
    for _ in range(count):
        digests.append(append(folder, record(rests_on=tuple(digests[-1:])), key))
    return digests


def write_keys(folder: Path, name: str) -> tuple[SigningKey, PublicKey]:
    """A new pair of keys in `NAME.pem` and `NAME.pub.pem`, read back from there."""
    private = Ed25519PrivateKey.generate()
    secret = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / f"{name}.pem").write_bytes(secret)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / f"{name}.pub.pem").write_bytes(public)
    signer = signing_key(folder / f"{name}.pem", {})
    assert signer is not None
    return signer, public_key(folder / f"{name}.pub.pem")
