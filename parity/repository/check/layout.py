"""The folders: versions that Triton takes, plans that are there, names that stay inside."""

from __future__ import annotations

import os
from pathlib import Path

from parity.repository.check.files import Unreadable, inside, is_there
from parity.repository.check.findings import Notes, Severity
from parity.repository.check.folders import is_version, plan_name, subfolders
from parity.repository.check.links import OutOfReach, note_escape
from parity.repository.check.subject import Subject, Version
from parity.repository.manifest import PLAN_NAME

MOST_SHOWN = 5
ALSO_ALLOWED = ("configs",)
"""Folders that are no versions and that Triton knows."""


def check(subject: Subject, notes: Notes, *, allow_unbuilt: bool) -> None:
    """Note what is wrong with the model's folder and its version folders."""
    _check_versions(subject, notes)
    _check_policy(subject, notes)
    _check_plan_names(subject, notes)
    for version in subject.versions:
        _check_plan(subject, version, notes, allow_unbuilt)


def _check_versions(subject: Subject, notes: Notes) -> None:
    shown = subject.shown(subject.folder)
    try:
        folders = subfolders(subject.folder)
    except Unreadable as error:
        notes.add("UNREADABLE", shown, error.found, expected="a model's folder", fix="mend its permissions")
        return
    if not subject.versions and not subject.closed:
        notes.add(
            "NO_VERSION",
            shown,
            "no folder whose name is a number from 1",
            expected=f"{shown}/1/{PLAN_NAME}",
            fix="make the folder 1 and build the plan into it",
        )
    others = [f.name for f in folders if not is_version(f.name) and f.name not in ALSO_ALLOWED]
    if others:
        more = f" and {len(others) - MOST_SHOWN} more" if len(others) > MOST_SHOWN else ""
        notes.add(
            "VERSION_NAME",
            shown,
            f"folders called {', '.join(f'{name!r:.60}' for name in others[:MOST_SHOWN])}{more}",
            expected="numbers from 1, without leading zeros",
            fix="rename them, or move them out of the repository",
        )


def _check_policy(subject: Subject, notes: Notes) -> None:
    if subject.config is None or not subject.config.version_policy.HasField("specific"):
        return
    present = {path.name for path in (*(version.path for version in subject.versions), *subject.closed)}
    asked = list(subject.config.version_policy.specific.versions)
    absent = [number for number in asked if str(number) not in present]
    if absent or not asked:
        notes.add(
            "VERSION_POLICY",
            subject.config_file,
            f"version {', '.join(map(str, absent[:10]))} without a folder" if absent else "no version at all",
            line=subject.places.line("version_policy.specific.versions"),
            expected=f"some of {', '.join(sorted(present, key=int))}"
            if present
            else "a version with a folder",
            fix="name versions that are there, or make the folder",
        )


def _check_plan_names(subject: Subject, notes: Notes) -> None:
    """The names that the configuration gives to plans: within the version folder, and there."""
    if subject.config is None:
        return
    named = [("default_model_filename", subject.config.default_model_filename)]
    named += [("cc_model_filenames", name) for name in subject.config.cc_model_filenames.values()]
    for field, name in named:
        for version in subject.versions:
            if not name:
                continue
            if inside(version.path, name) is None:
                notes.add(
                    "UNSAFE_PATH",
                    subject.config_file,
                    f"{field} {name!r}",
                    line=subject.places.line(field),
                    expected="a file inside the version folder",
                    fix=f"call the plan {PLAN_NAME}",
                )
                break
            if field == "cc_model_filenames":
                _check_named_plan(subject, version.path / name, field, notes)


def _check_named_plan(subject: Subject, plan: Path, field: str, notes: Notes) -> None:
    try:
        subject.reach.open(plan).close()
    except OutOfReach as error:
        note_escape(error.target, subject.shown(plan), notes)
    except Unreadable as error:
        notes.add(
            "PLAN_MISSING",
            subject.shown(plan),
            _absent(plan) if error.missing else error.found,
            expected=f"the plan that {field} names",
            fix="build it, or take the entry out",
        )


def _check_plan(subject: Subject, version: Version, notes: Notes, allow_unbuilt: bool) -> None:
    if version.has_plan or is_there(version.described):  # the latter is TensorRT-RTX's, a finding of its own
        return
    shown = subject.shown(version.plan)
    others = version.has_manifest or version.has_graph or plan_name(subject.config) != PLAN_NAME
    if others or version.plan.is_symlink():
        notes.add(
            "PLAN_MISSING",
            shown,
            _absent(version.plan),
            expected="the plan that the other files here belong to",
            fix="copy the plan to its place, or build it again: parity repository build",
        )
        return
    notes.add(
        "PLAN_NOT_BUILT",
        shown,
        "no plan and no build.json",
        expected="a TensorRT plan, built where it will be served",
        fix="build it there: parity repository build",
        severity=Severity.INFO if allow_unbuilt else None,
    )


def _absent(path: Path) -> str:
    """That a file is not there, and where its link leads when it is one."""
    if not path.is_symlink():
        return "no such file"
    return f"a link to {os.path.realpath(path)}, where nothing is"
