"""The front door: `nox -s parity` runs the main job, `nox -s tests` passes the tests."""

from __future__ import annotations

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "tests"]

PYPROJECT = nox.project.load_toml("pyproject.toml")


def _group(name: str) -> tuple[str, ...]:
    return nox.project.dependency_groups(PYPROJECT, name)


@nox.session
def parity(session: nox.Session) -> None:
    """Run both demo models over the demo data set; arguments after `--` go to `parity run`."""
    session.install("-e", ".[all]", silent=True)
    session.run("parity", "run", *session.posargs)


@nox.session
def load(session: nox.Session) -> None:
    """Put load on the demo's services and the embedded Triton; arguments after `--` go to `parity load`."""
    session.install("-e", ".[all]", silent=True)
    session.run("python", "-m", "demo.load", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the whole test suite, a file in each of two processes; arguments after `--` go to pytest."""
    session.install("-e", ".[all]", *_group("test"), silent=True)
    session.run("pytest", "-n", "2", "--dist", "loadfile", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, types and the direction of imports."""
    session.install("-e", ".[triton]", *_group("lint"), *_group("test"), "nox", silent=True)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("lint-imports")


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Measure speed as ratios against peers in the same run; arguments after `--` go to `accuracy`."""
    session.install("-e", ".[all]", *_group("test"), "faster-coco-eval", silent=True)
    session.run("python", "-m", "benchmarks.paths")
    session.run("python", "-m", "benchmarks.load")
    session.run("python", "-m", "benchmarks.repository_check")
    session.run("python", "-m", "benchmarks.accuracy", *session.posargs)
