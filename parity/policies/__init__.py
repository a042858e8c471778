"""Policies: the criteria and limits of each rollout phase, one TOML file a phase."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from parity.config import RunFile, hint
from parity.errors import UsageError, join_problems
from parity.policies.extending import effective, held_to
from parity.policies.model import OPERATING_POINT, Loosened, Policy, Requirements
from parity.policies.reading import content, draft

__all__ = [
    "OPERATING_POINT",
    "Loosened",
    "Policy",
    "Requirements",
    "for_run",
    "load",
    "parse",
    "phases",
    "read",
]

MOST_FILES = 8
"""How long a chain of files that extend each other may be."""


def phases() -> tuple[str, ...]:
    """Names of the phases that parity ships a policy for."""
    folder = resources.files(__name__)
    return tuple(sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml")))


def load(phase: str) -> Policy:
    """The built-in policy of a phase. Raises UsageError when there is none of that name."""
    if phase not in phases():
        raise UsageError(f"no policy for the phase {phase!r}{hint(phase, phases())}", where="phase")
    text = resources.files(__name__).joinpath(f"{phase}.toml").read_text(encoding="utf-8")
    return _policy(text, where=f"{phase}.toml", built_in=True)


def for_run(run_file: RunFile) -> Policy:
    """The policy that judges a run: the team's own that the run file names, or else its phase's.

    Raises UsageError for what is wrong with a team's policy, and for one of another phase.
    """
    if run_file.policy is None:
        return load(run_file.phase)
    policy = read(run_file.policy)
    if policy.phase != run_file.phase:
        raise UsageError(
            f"a policy of the phase {policy.phase!r}, named by a run file of {run_file.phase!r}",
            where=str(run_file.policy),
            remedy=f'set phase = "{policy.phase}" in the run file, or name another policy',
        )
    return policy


def read(path: Path) -> Policy:
    """A team's own policy, which is of a phase that parity has one for.

    It may extend a built-in policy by its name, or a file by its path (`*.toml`) in or under its own folder.
    It is held to what it extends and to the built-in policy of its phase: what is looser takes a reason.
    Raises UsageError naming everything that is wrong.
    """
    policy = _read(path, ())
    if policy.phase not in phases():
        raise UsageError(
            f"no phase is called {policy.phase!r}{hint(policy.phase, phases())}", where=str(path)
        )
    return policy


def parse(text: str, *, where: str) -> Policy:
    """A policy from its text, as `read`, though of any phase, and without any file to extend."""
    return _policy(text, where=where)


def _read(path: Path, trail: tuple[Path, ...]) -> Policy:
    resolved = path.resolve()
    if resolved in trail:
        circle = " -> ".join(each.name for each in (*trail[trail.index(resolved) :], resolved))
        raise UsageError(f"extends itself: {circle}", where=str(trail[0]), remedy="let one extend a built-in")
    if len(trail) >= MOST_FILES:
        raise UsageError(f"a chain of over {MOST_FILES} files that extend each other", where=str(trail[0]))
    return _policy(content(path), where=str(path), path=path, trail=(*trail, resolved))


def _policy(
    text: str, *, where: str, built_in: bool = False, path: Path | None = None, trail: tuple[Path, ...] = ()
) -> Policy:
    problems: list[str] = []
    found = draft(text, where=where, problems=problems)
    base = _base(found.extends, path, trail, problems)
    policy = effective(found, base, problems)
    references = {}
    if found.extends is not None and base is not None:
        references[found.extends] = base
    if not built_in and policy.phase in phases():
        references[policy.phase] = load(policy.phase)
    if not problems:
        policy = held_to(policy, references, base, found.allow_looser, problems)
    if problems:
        raise UsageError(join_problems(problems), where=where)
    return policy


def _base(
    extends: str | None, path: Path | None, trail: tuple[Path, ...], problems: list[str]
) -> Policy | None:
    """The policy that is extended; None without one, or with one that `problems` tells of."""
    if extends is None:
        return None
    if not extends.endswith(".toml"):
        if extends in phases():
            return load(extends)
        problems.append(f"extends: no policy is called {extends!r}{hint(extends, phases())}")
        return None
    refused = _refused(extends, path)
    if path is None or refused:
        problems.append(f"extends: {extends!r} {refused}")
        return None
    return _read(path.parent / extends, trail)


def _refused(extends: str, path: Path | None) -> str:
    """Why a file may not extend the one of this name, or ""."""
    if path is None:
        return "is a file, and only a file can extend one"
    if "\0" in extends:
        return "is no name of a file"
    inside = (path.parent / extends).resolve().is_relative_to(path.resolve().parent)
    return "" if inside else "leads out of the policy's folder"
