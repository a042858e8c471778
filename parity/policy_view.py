"""What `parity policy show` shows: a policy as two tables in 80 columns, or as JSON."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from parity.criteria import CRITERIA, Parameters
from parity.gate import COLLECTED_BY
from parity.policies import Policy
from parity.policies.looser import direction, shown
from parity.policies.model import KINDS
from parity.policies.plan import NOT_MEASURED, PHASES, STANDS_FOR, SUCCESS
from parity.visible import one_line

WIDTH = 80


def policy_text(policy: Policy) -> str:
    """The policy in at most 80 columns: criteria with their sentences, requirements, and what is left out."""
    console = Console(width=WIDTH, highlight=False, color_system=None)
    with console.capture() as captured:
        console.print(Text(f"{one_line(policy.phase)}: {one_line(policy.description)}"))
        if policy.phase in PHASES:
            console.print(Text(PHASES[policy.phase]))
        console.print(_criteria(policy))
        console.print(_requirements(policy))
        for name, why in not_judged(policy).items():
            console.print(Text(f"Not judged: {SUCCESS[name]} Because {why}."))
        for note in policy.notes:
            console.print(Text(one_line(note)))
        console.print(Text(f"digest: {policy.digest}"))
    return "\n".join(line.rstrip() for line in captured.get().rstrip("\n").split("\n"))


def policy_json(policy: Policy) -> str:
    """The same as a document."""
    document = {
        "phase": policy.phase,
        "description": policy.description,
        "plan": PHASES.get(policy.phase),
        "digest": policy.digest,
        "criteria": {name: _criterion(name, given) for name, given in policy.criteria.items()},
        "requires": policy.requires.model_dump(mode="json"),
        "not_judged": {SUCCESS[name]: why for name, why in not_judged(policy).items()},
        "loosened": [
            {key: getattr(each, key) for key in ("what", "strict", "loose", "than", "reason")}
            for each in policy.loosened
        ],
    }
    return json.dumps(document, indent=2, allow_nan=False)


def not_judged(policy: Policy) -> dict[str, str]:
    """The plan's success criteria that no criterion of the policy measures to the letter, and why."""
    reasons = NOT_MEASURED.get(policy.phase, {})
    return {
        name: reasons.get(name, "this policy leaves it out")
        for name in SUCCESS
        if name not in policy.criteria
    }


def _criterion(name: str, parameters: Parameters) -> dict[str, Any]:
    needs = CRITERIA[name].needs
    return {
        "parameters": parameters.model_dump(mode="json"),
        "looser": {field: direction(type(parameters), field) for field in type(parameters).model_fields},
        "needs": needs,
        "collected_by": COLLECTED_BY[needs],
        "stands_for": STANDS_FOR[name],
    }


def _criteria(policy: Policy) -> Table:
    table = Table()
    table.add_column("criterion and limits", no_wrap=True)
    table.add_column("evidence", no_wrap=True)
    table.add_column("stands for")
    for name, parameters in policy.criteria.items():
        values = [f"  {field} {shown(value)}" for field, value in parameters]
        table.add_row("\n".join([name, *values]), CRITERIA[name].needs, STANDS_FOR[name])
    return table


def _requirements(policy: Policy) -> Table:
    requires = policy.requires
    table = Table()
    table.add_column("required", no_wrap=True)
    table.add_column("")
    kinds = [f"{kind} ({COLLECTED_BY[kind]})" for kind in KINDS if kind in requires.evidence]
    table.add_row("evidence", shown(kinds))
    table.add_row("passed before, same digests", shown(requires.earlier))
    table.add_row("evidence no older than", f"{shown(requires.max_age_hours)} h")
    table.add_row("images, at least", str(requires.least_images))
    table.add_row("requests under load, at least", str(requires.least_requests))
    if requires.soak_hours or requires.soak_requests:
        soak = f"{shown(requires.soak_hours)} h and {requires.soak_requests} live requests"
        table.add_row("served before, at least", soak)
    engine = "yes; a rehearsal is INCONCLUSIVE" if requires.tensorrt else "no"
    table.add_row("TensorRT engine behind Triton", engine)
    return table
