"""A panel's series as a line chart in SVG, with a legend of the last and the largest value."""

from collections.abc import Mapping, Sequence
from html import escape

Points = Sequence[tuple[float, float]]
"""Moments in seconds, with values."""

WIDTH, HEIGHT, LEFT = 400, 150, 46
COLORS = (
    *("#3b7dd8", "#e0752d", "#4e9a06", "#bf1b00", "#7b53b5", "#0a9396"),
    *("#c4a000", "#8f3b1b", "#d15c9e", "#5a6b7b", "#2f4b7c", "#9bb300"),
)
MOST_IN_LEGEND = 8


def draw(series: Mapping[str, Points], unit: str, begin: float, end: float) -> str:
    """The chart of the series between two moments, and below it their names."""
    shown = dict(sorted(series.items(), key=lambda each: -_last(each[1])))
    top = _ceiling(max((value for points in shown.values() for _, value in points), default=0))
    lines = [
        _line(points, COLORS[index % len(COLORS)], begin, end, top)
        for index, points in enumerate(shown.values())
    ]
    grid = "".join(_mark(top * share, top, unit) for share in (0, 0.5, 1))
    chart = f'<svg viewBox="0 0 {WIDTH} {HEIGHT + 12}">{grid}{"".join(lines)}</svg>'
    return chart + _legend(shown, unit)


def number(value: float, unit: str) -> str:
    """The value as a person reads it."""
    match unit:
        case "bool_yes_no":
            return "yes" if value else "no"
        case "percentunit":
            return f"{value:.1%}"
        case "s":
            return _time(value)
    return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def _time(seconds: float) -> str:
    for size, name in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if seconds >= size:
            return f"{seconds / size:.3g} {name}"
    return f"{seconds * 1000:.3g} ms"


def _ceiling(largest: float) -> float:
    return largest * 1.1 or 1


def _last(points: Points) -> float:
    return points[-1][1] if points else 0


def _line(points: Points, color: str, begin: float, end: float, top: float) -> str:
    places = " ".join(
        f"{LEFT + (at - begin) / (end - begin) * (WIDTH - LEFT):.1f},"
        f"{HEIGHT - value / top * (HEIGHT - 6):.1f}"
        for at, value in points
    )
    return f'<polyline points="{places}" stroke="{color}" fill="none" stroke-width="1.5"/>'


def _mark(value: float, top: float, unit: str) -> str:
    y = HEIGHT - value / top * (HEIGHT - 6)
    return (
        f'<line x1="{LEFT}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>'
        f'<text x="{LEFT - 4}" y="{y + 3:.1f}">{escape(number(value, unit))}</text>'
    )


def _legend(series: Mapping[str, Points], unit: str) -> str:
    names = [
        f'<i style="background:{COLORS[index % len(COLORS)]}"></i>{escape(name)} '
        f"<b>{escape(number(_last(points), unit))}</b><br>"
        for index, (name, points) in enumerate(series.items())
    ]
    more = len(names) - MOST_IN_LEGEND
    return "".join(names[:MOST_IN_LEGEND]) + (f"and {more} more" if more > 0 else "")
