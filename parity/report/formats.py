"""Numbers as the HTML page shows them. The exact values are in report.json and the CSV files."""

from __future__ import annotations

DASH = "\u2014"
MINUS = "\u2212"
_THIN = "\u202f"


def fixed(value: float | None, decimals: int = 3, *, signed: bool = False) -> str:
    """`value` with that many decimals; a dash when undefined, "0" only when it is exactly 0."""
    if value is None:
        return DASH
    if value == 0:
        return "0"
    text = f"{value:,.{decimals}f}"
    if float(text.replace(",", "")) == 0:
        text = text.lstrip("-")
    elif signed and value > 0:
        text = "+" + text
    return text.replace("-", MINUS)


def points(fraction: float | None, *, signed: bool = False) -> str:
    """A fraction from 0 to 1 in AP points, 0 to 100."""
    return fixed(None if fraction is None else fraction * 100, 3, signed=signed)


def span(interval: tuple[float, float] | None, scale: float = 1.0) -> str:
    """An interval as "low to high", signed; a dash when undefined."""
    if interval is None:
        return DASH
    low, high = (fixed(end * scale, 3, signed=True) for end in interval)
    return f"{low} to {high}"


def compact(value: float, digits: int = 4) -> str:
    """`value` with so many significant digits; whole numbers in full, no exponent where avoidable."""
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}".replace("-", MINUS)
    text = f"{value:,.{digits}g}" if 1e-4 <= abs(value) < 1e6 else f"{value:.{digits}g}"
    return text.replace("-", MINUS)


def apart(value: float | None, *others: float | None) -> str:
    """`value` compactly, with as many digits as it takes to differ from each other value it differs from.

    99.9996 beside a limit of 100 must not read as 100: the reader would see a criterion fail for nothing.
    """
    if value is None:
        return DASH
    different = [other for other in others if other is not None and other != value]
    for digits in range(4, 17):
        text = compact(value, digits)
        shown = float(text.replace(",", "").replace(MINUS, "-"))
        if all(shown != other and (shown > other) == (value > other) for other in different):
            return text
    return repr(value).replace("-", MINUS)


def with_unit(text: str, unit: str) -> str:
    """A number and its unit, kept on one line; no unit after a dash."""
    return text if not unit or text == DASH else f"{text}{_THIN}{unit}"


def count(number: int, singular: str = "", plural: str = "") -> str:
    """A whole number with thousands separators, and the noun in the right number if one is given."""
    noun = singular if number == 1 else plural or f"{singular}s"
    return f"{number:,} {noun}" if singular else f"{number:,}"


def capital(text: str) -> str:
    """`text` with a capital first letter and the rest as it is."""
    return text[:1].upper() + text[1:]


def seconds(value: float) -> str:
    """A duration in the unit that suits it."""
    if value < 1:
        return f"{value * 1000:.0f}{_THIN}ms"
    if value < 60:
        return f"{value:.1f}{_THIN}s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes}{_THIN}min {rest}{_THIN}s"
