"""The folders: versions that Triton takes, plans that are there, names that stay inside."""

from __future__ import annotations

from pathlib import Path

from parity.repository.check.files import Unreadable, inside, is_there, open_regular
from parity.repository.check.findings import Notes, Severity
from parity.repository.check.reading import is_version, plan_name, subfolders
from parity.repository.check.subject import Subject, Version
from parity.repository.manifest import PLAN_NAME

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
    for folder in subject.closed:
        notes.add(
            "UNREADABLE",
            subject.shown(folder),
            "a folder that cannot be entered",
            expected="a version, which Triton reads as another user perhaps",
            fix="mend its permissions: read and execute for whoever serves and checks",
        )
    for folder in folders:
        if not is_version(folder.name) and folder.name not in ALSO_ALLOWED:
            notes.add(
                "VERSION_NAME",
                subject.shown(folder),
                f"a folder called {folder.name!r}",
                expected="a number from 1, without leading zeros",
                fix="rename the folder, or move it out of the repository",
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
        open_regular(plan).close()
    except Unreadable as error:
        notes.add(
            "PLAN_MISSING",
            subject.shown(plan),
            "no such file" if error.missing else error.found,
            expected=f"the plan that {field} names",
            fix="build it, or take the entry out",
        )


def _check_plan(subject: Subject, version: Version, notes: Notes, allow_unbuilt: bool) -> None:
    if version.has_plan or is_there(version.described):  # the latter is TensorRT-RTX's, a finding of its own
        return
    shown = subject.shown(version.plan)
    if version.has_manifest or version.has_graph or plan_name(subject.config) != PLAN_NAME:
        notes.add(
            "PLAN_MISSING",
            shown,
            "no such file",
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
