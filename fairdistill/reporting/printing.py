"""How numbers, intervals and whole tables are printed, as texts, Markdown and LaTeX."""

import math
import re
from collections.abc import Iterable

import pandas as pd

from fairdistill.evaluation.rounding import rounded
from fairdistill.reporting.notes import ALONE_MARK, CHANCE_MARK, GROUP_MARK

# The most rows of a LaTeX table on one page: lines of small type below a caption of five lines, across the 345 pt of an
# article's page turned sideways.
ROWS_ON_A_PAGE = 32


def numbers(values: Iterable[float], form: str) -> list[str]:
    """Return numbers as texts, see `fairdistill.evaluation.rounding.rounded`; a missing one is empty."""
    return ["" if pd.isna(value) else rounded(value, form) for value in values]


def with_sd(means: Iterable[float], sds: Iterable[float], form: str = "{:.3f}") -> list[str]:
    """Return means as texts with their sd, such as '0.812 ± 0.004'; of a single value the mean alone."""
    return [a + b for a, b in zip(numbers(means, form), numbers(sds, f" ± {form}"), strict=True)]


def with_ends(texts: Iterable[str], low: Iterable[float], high: Iterable[float], form: str = "{:.3f}") -> list[str]:
    """Return texts of numbers, each with the ends of its interval, such as '0.812 [0.801, 0.823]'."""
    ends = zip(texts, numbers(low, form), numbers(high, form), strict=True)
    return [f"{text} [{a}, {b}]" for text, a, b in ends]


def ranges(low: pd.Series, high: pd.Series) -> list[str]:
    """Return intervals as texts, such as '-0.120 to +0.053'; a missing one is empty."""
    ends = zip(numbers(low, "{:+.3f}"), numbers(high, "{:+.3f}"), strict=True)
    return [f"{a} to {b}" if a else "" for a, b in ends]


def markdown(table: pd.DataFrame) -> str:
    """Return a table of texts as Markdown, aligned so that it reads well on a terminal too."""
    rows = [list(table.columns), *table.astype(str).to_numpy().tolist()]
    widths = [max(3, *map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, ["-" * width for width in widths])
    lines = [" | ".join(map(str.ljust, row, widths)) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def latex(table: pd.DataFrame, *, caption: str, label: str) -> str:
    """Return a table of texts as LaTeX floats with `booktabs` rules, special characters escaped.

    Tables of intervals are wider than a page. So a float is a page turned sideways, in small type, and a table that
    is wider still is shrunk to its length. A table of more rows than such a page holds goes on in further floats,
    which refer to the first.
    """
    head, *rows = [rf"    {' & '.join(map(_escape, row))} \\" for row in [table.columns, *table.astype(str).to_numpy()]]
    pages = max(1, math.ceil(len(rows) / ROWS_ON_A_PAGE))
    height = max(1, math.ceil(len(rows) / pages))
    lines = [r"% \usepackage{adjustbox,booktabs,rotating}"]
    for page in range(pages):
        first = [rf"  \caption{{{_escape(caption)}}}", rf"  \label{{{label}}}"]
        lines += [
            r"\begin{sidewaystable}",
            r"  \centering",
            r"  \scriptsize",
            r"  \setlength{\tabcolsep}{3pt}",
            *(first if page == 0 else [rf"  Table~\ref{{{label}}}, continued \\"]),
            r"  \begin{adjustbox}{max width=\linewidth}",
            rf"  \begin{{tabular}}{{{'l' * table.shape[1]}}}",
            r"    \toprule",
            head,
            r"    \midrule",
            *rows[page * height : (page + 1) * height],
            r"    \bottomrule",
            r"  \end{tabular}",
            r"  \end{adjustbox}",
            r"\end{sidewaystable}",
        ]
    return "\n".join([*lines, ""])


def _escape(text: str) -> str:
    text = re.sub(r"([&%$#_{}])", r"\\\1", text.replace("\\", "/"))
    text = text.replace("~", r"\textasciitilde{}").replace("^", r"\textasciicircum{}").replace("±", r"$\pm$")
    text = text.replace("<", r"\textless{}")
    for mark, command in {CHANCE_MARK: r"$\dagger$", ALONE_MARK: r"$\ddagger$", GROUP_MARK: r"\S{}"}.items():
        text = text.replace(mark, command)
    return re.sub(r"DEO\\_([AM])", r"DEO$_\1$", text)
