"""Numbers with their intervals, names and tables, as a card writes them in Markdown."""

from collections.abc import Sequence

from fairdistill.evaluation.markdown import escape
from fairdistill.evaluation.records import Interval, Scores
from fairdistill.evaluation.rounding import rounded


def with_interval(metrics: Scores, metric: str) -> str:
    """Return a score and its 95 % interval as text."""
    return interval(getattr(metrics, metric), getattr(metrics.uncertainty, metric))


def signed(value: float) -> str:
    """Return a difference as text with its sign; one that rounds to zero has none, as in the tables."""
    return rounded(value, "{:+.3f}")


def interval(value: float, ends: Interval) -> str:
    """Return a number with its 95 % interval as text."""
    value_text, low, high = (rounded(number, "{:.3f}") for number in (value, ends.low, ends.high))
    return f"{value_text} ({low} to {high})"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, escaped: bool = False) -> str:
    """Return a Markdown table; its texts are escaped here unless they are `escaped` already."""
    lines = [list(headings), *map(list, rows)]
    if not escaped:
        lines = [[escape(text) for text in line] for line in lines]
    lines.insert(1, ["---"] * len(headings))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
