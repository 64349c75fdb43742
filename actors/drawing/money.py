"""How amounts are written."""

from decimal import Decimal

UNITS = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))


def written(amount: Decimal) -> str:
    """With all digits: 1,234.50."""
    return f"{amount:,.2f}"


def short(value: float) -> str:
    """In a few characters: 1.2M."""
    if abs(value) >= 1000 * UNITS[0][0]:
        return f"{value:.2g}".replace("e+", "e")
    for unit, name in UNITS:
        if abs(value) >= unit:
            return f"{value / unit:,.4g}{name}"
    return f"{value:.4g}"
