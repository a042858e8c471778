"""The folder of a comparison's report: whose it is, and what of an earlier report has to go."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from parity.errors import UsageError

FILES = ("index.html", "report.json", "criteria.csv", "images.csv", "differences.csv")
ROLES = ("reference", "candidate", "repeat")
EVIDENCE = "evidence"
PHASE = "comparison"


def check_folder(folder: Path, inputs: Sequence[Path]) -> None:
    """Raise UsageError where writing a report would cost the user something.

    A report may go into a new folder, an empty one, one that has nothing of its names, or the place of an
    earlier comparison's report; never over its own inputs, nor over a run's report and evidence.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError("not a folder", where=f"--out {folder}", remedy="name another folder")
    for path in inputs:
        if path.resolve().is_relative_to(folder / EVIDENCE) or path.resolve() in _files(folder):
            raise UsageError(
                f"{path} lies where the report would go",
                where=f"--out {folder}",
                remedy="name another folder",
            )
    taken = [name for name in (*FILES, EVIDENCE) if (folder / name).exists()]
    if taken and _earlier_models(folder) is None:
        raise UsageError(
            f"{', '.join(taken)} there are not of an earlier comparison",
            where=f"--out {folder}",
            expected="a new folder, or that of an earlier comparison",
            remedy="name another folder",
        )


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A folder to write a report into, which takes `folder`'s place when the context ends well.

    An error, a full disk included, leaves `folder` as it was.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    staging.chmod(0o755)
    try:
        yield staging
        if folder.exists():
            _replace(staging, folder)
        else:
            staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _replace(staging: Path, folder: Path) -> None:
    """Put a new report in an earlier one's place, so that nothing of that can pass for the new one's."""
    models = _earlier_models(folder) or []
    for name in FILES:
        (folder / name).unlink(missing_ok=True)
    for model in models:
        for role in ROLES:
            for table in ("detections", "images"):
                (folder / EVIDENCE / model / f"{role}.{table}.parquet").unlink(missing_ok=True)
    written = [path for path in staging.rglob("*") if path.is_file()]
    for path in sorted(written, key=lambda path: path.name in FILES):
        target = folder / path.relative_to(staging)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)


def _files(folder: Path) -> list[Path]:
    return [(folder / name).resolve() for name in FILES]


def _earlier_models(folder: Path) -> list[str] | None:
    """The models of the comparison whose report lies here; None when there is none."""
    try:
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        models = [str(pair["model"]) for pair in report["pairs"]]
        ours = report["phase"] == PHASE
    except (OSError, ValueError, KeyError, TypeError):
        return None
    inside = all(Path(model).name == model for model in models)
    return models if ours and inside else None
