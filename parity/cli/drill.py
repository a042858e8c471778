"""`parity drill`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from parity.cli.common import CacheOption, DebugOption, RunsOption, cache_folder, errors, new_folder, selected
from parity.cli.run import ModelOption, RunFileArgument
from parity.cli.triton_options import REACHED, switched_on, triton_options

if TYPE_CHECKING:
    from parity.criteria import CriterionResult
    from parity.policies import Policy
    from parity.serving.evidence import Drill


@triton_options(*REACHED)
def drill_command(
    run_file: RunFileArgument = Path("parity.toml"),
    model: ModelOption = None,
    images: Annotated[int, typer.Option(min=1, help="Images that each step asks for.")] = 20,
    out: RunsOption = Path("reports"),
    cache: CacheOption = None,
    debug: DebugOption = False,
    *,
    options: Mapping[str, Any],
) -> None:
    """Rehearse the rollback: switch the candidate off, take it away, see that answers go on, switch it on.

    Exit code: 0 PASS, 10 FAIL, 11 INCONCLUSIVE, 2 usage, 3 evidence or data set, 4 runner or server.
    """
    with errors(debug, out):
        from parity import policies, runners
        from parity.bars import RichProgress
        from parity.config import load
        from parity.drill import DrillRequest, rehearse
        from parity.files import write_whole
        from parity.gate import EXIT_CODES, verdict
        from parity.terminal import show_drill

        config = load(run_file, runners.SETTINGS, policies.phases())
        names = selected(config, model)
        config = switched_on(config, names, options).run_file
        policy = policies.for_run(config)
        folder = new_folder(out, "drill")
        outcomes = []
        for name in names:
            request = DrillRequest(run_file=config, model=name, images=images, cache=cache_folder(cache))
            with RichProgress() as progress:
                found = rehearse(request, progress)
            result = _judged(found, policy)
            outcomes.append(result.outcome)
            path = folder / "evidence" / name / "drill.json"
            write_whole(path, found.model_dump_json(indent=2) + "\n")
            show_drill(found, result, path)
        raise typer.Exit(EXIT_CODES[verdict(outcomes)])


def _judged(drill: Drill, policy: Policy) -> CriterionResult:
    """The drill alone, by the phase's criterion or, where its policy has none, by the defaults.

    A drill that went well shows nothing of an engine where the phase takes one and none was there.
    """
    from parity.criteria import CRITERIA, Outcome, PairEvidence
    from parity.criteria.rollback_drill import RollbackDrillParameters
    from parity.gate import held_back
    from parity.serving.evidence import ServingEvidence

    serving = ServingEvidence(
        work="image",
        images=drill.images,
        reference_endpoint=drill.reference,
        candidate_endpoint=drill.candidate,
        drill=drill,
    )
    parameters = policy.parameters(RollbackDrillParameters, "rollback_drill")
    result = CRITERIA["rollback_drill"].judge(PairEvidence.of_serving(serving), parameters)
    held = held_back(policy, {"tensorrt": drill.tensorrt})
    return held[0] if held and result.outcome is Outcome.PASS else result
