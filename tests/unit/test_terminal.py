"""The bars of a terminal: rate and time left, 80 columns, nothing where no terminal is."""

from __future__ import annotations

import io

from rich.console import Console

from parity.bars import RichProgress


def _shown(total: int, done: int, label: str = "reference", width: int = 80) -> str:
    """The bar, ten seconds after a step began."""
    clock = iter([0.0])
    console = Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None)
    progress = RichProgress(console)
    progress.bars.get_time = lambda: next(clock, 10.0)
    with progress.step(label, total) as step:
        if done:
            step.advance(done)
        with console.capture() as capture:
            console.print(progress.bars.get_renderable())
    return capture.get()


def test_a_bar_has_rate_and_time_left() -> None:
    shown = _shown(500, 250)
    assert "250/500" in shown
    assert "25/s, 0:00:10 left" in shown


def test_slow_stages_have_a_rate_too() -> None:
    assert "0.2/s, 0:00:05 left" in _shown(3, 2)


def test_before_the_first_unit_only_the_time_so_far_is_known() -> None:
    shown = _shown(3, 0)
    assert "0:00:10" in shown
    assert "left" not in shown


def test_more_than_was_expected_leaves_no_negative_time() -> None:
    assert "0:00:00 left" in _shown(380, 500)


def test_a_long_label_gives_way_to_the_numbers() -> None:
    shown = _shown(100_000, 5, label="[red]" + "a very long label " * 9)
    assert len(shown.strip("\n").splitlines()) == 1
    assert "left" in shown
    assert "[red]" in shown


def test_nothing_is_drawn_without_a_terminal() -> None:
    out = io.StringIO()
    with RichProgress(Console(file=out)) as progress, progress.step("reference", 5) as step:
        step.advance()
    assert out.getvalue() == ""
