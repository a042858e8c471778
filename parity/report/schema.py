"""report.json in and out, and its JSON Schema.

`python -m parity.report.schema` writes the schema into the package again after a change of the model.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from parity.errors import EvidenceError, join_problems
from parity.files import write_whole
from parity.report.document import SCHEMA_VERSION, Outcome, Pair, Report
from parity.report.text import without_secrets

SCHEMA_PATH = Path(__file__).parents[1] / "schemas" / "report.schema.json"
_MAX_PROBLEMS = 12
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def report_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of report.json as `write_json` writes it: every field is there."""
    schema = Report.model_json_schema(mode="serialization")
    schema["properties"]["schema_version"] = {"const": SCHEMA_VERSION}
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "report.json of parity"}
    return {**head, **{key: value for key, value in schema.items() if key not in head}}


def write_schema(path: Path = SCHEMA_PATH) -> None:
    """Write the schema file of the package."""
    write_whole(path, json.dumps(report_schema(), indent=2, sort_keys=False) + "\n")


def write_json(report: Report, path: Path) -> None:
    """Write report.json, without secrets, whole or not at all.

    Raises EvidenceError when the provenance holds something that JSON cannot say.
    """
    try:
        # By way of the model's own dump: in the provenance paths, enums and dates become text, and NaN null.
        plain = without_secrets(report).model_dump(mode="json")
        text = json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise EvidenceError(f"cannot be written as JSON ({error})", where=str(path)) from error
    write_whole(path, _LONE_SURROGATE.sub("\ufffd", text) + "\n")


def read_json(path: Path) -> Report:
    """Load what `write_json` wrote.

    Raises EvidenceError when the file is missing, is not JSON, is of another schema version, does not fit
    the schema, or says PASS against its own content.
    """
    where = str(path)
    try:
        data = from_json(path.read_bytes(), allow_inf_nan=False)
    except FileNotFoundError as error:
        raise EvidenceError("no such file", where=where, remedy="name a finished run's folder") from error
    except OSError as error:
        raise EvidenceError(f"cannot be read ({error.strerror})", where=where) from error
    except ValueError as error:
        raise _damaged(where, f"not valid JSON ({error})") from error
    if not isinstance(data, dict) or "schema_version" not in data:
        raise _damaged(where, "not a parity report: there is no schema_version")
    if data["schema_version"] != SCHEMA_VERSION:
        raise EvidenceError(
            f"schema version {data['schema_version']!r:.40}",
            where=where,
            expected=SCHEMA_VERSION,
            remedy="read it with the version of parity that wrote it",
        )
    try:
        report = Report.model_validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        raise _damaged(where, _told(error)) from error
    problems = contradictions(report)
    if problems:
        raise _damaged(where, join_problems(problems))
    return report


def contradictions(report: Report) -> list[str]:
    """Where a report says PASS though its own content does not; such a report must not be shown as one."""
    problems = [problem for pair in report.pairs for problem in _pair_contradictions(pair)]
    if report.verdict is Outcome.PASS:
        if report.error is not None:
            problems.append("the verdict is PASS though the run stopped with an error")
        if not report.pairs:
            problems.append("the verdict is PASS though nothing was compared")
        problems += [
            f"the verdict is PASS though {pair.model!r} is {pair.verdict.value}"
            for pair in report.pairs
            if pair.verdict is not Outcome.PASS
        ]
    return problems


def _pair_contradictions(pair: Pair) -> list[str]:
    if pair.verdict is not Outcome.PASS:
        return []
    if not pair.criteria:
        return [f"{pair.model!r} is PASS without any criterion"]
    return [
        f"{pair.model!r} is PASS though its criterion {criterion.name!r} is {criterion.outcome.value}"
        for criterion in pair.criteria
        if criterion.outcome is not Outcome.PASS
    ]


def _damaged(where: str, found: str) -> EvidenceError:
    return EvidenceError(
        found,
        where=where,
        expected=f"a parity report of schema version {SCHEMA_VERSION}",
        remedy="run `parity run` again, or fetch the file again if it was copied",
    )


def _told(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    problems = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in found[:_MAX_PROBLEMS]]
    if len(found) > _MAX_PROBLEMS:
        problems.append(f"and {len(found) - _MAX_PROBLEMS} more")
    return join_problems(problems)


if __name__ == "__main__":
    write_schema()
