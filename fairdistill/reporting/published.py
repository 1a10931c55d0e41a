"""The numbers of a published study and one's own, side by side."""

import numpy as np
import pandas as pd

from fairdistill.evaluation.uncertainty import AT_CHANCE
from fairdistill.reporting.columns import DEO, MEASURED, PLACE
from fairdistill.reporting.labels import printed
from fairdistill.reporting.runs import at_chance
from fairdistill.reporting.tables import markdown, numbers
from fairdistill.reporting.verdicts import noise

WITHIN, OUTSIDE = "within the noise", "outside the noise"
SIDES = ["published", "own"]


def compare_studies(published: pd.DataFrame, own: pd.DataFrame) -> pd.DataFrame:
    """Return both studies' means over seeds and whether they differ by more than noise, one row per model and metric.

    Columns: dataset, architecture, method, metric (accuracy, deo_a, deo_m); published, published_sd, published_n; own,
    own_sd, own_n; difference (own minus published); noise, see `fairdistill.reporting.verdicts.noise`; verdict: within
    or outside the noise, or "at chance" for the DEO of a model of which a seed, on either side, is no more accurate
    than one that names the largest class. A model that one study lacks has n = 0 there, and no verdict. Models are in
    the order of `own`; those that it lacks come last.

    Parameters
    ----------
    published, own : DataFrames
        One row per model, see `fairdistill.reporting.runs`. Models are matched by their names.
    """
    means = {"published": _means(published), "own": _means(own)}
    index = means["own"].index.append(means["published"].index.difference(means["own"].index, sort=False))
    sides = {side: found.reindex(index) for side, found in means.items()}
    table = pd.DataFrame(index=index)
    for side, found in sides.items():
        table[side], table[f"{side}_sd"], table[f"{side}_n"] = (
            found["mean"],
            found["sd"],
            found["n"].fillna(0).astype(int),
        )
    table["difference"] = table["own"] - table["published"]
    columns = [part for side in SIDES for part in (sides[side]["test"], table[f"{side}_sd"], table[f"{side}_n"])]
    table["noise"] = [
        noise(*row[:3], other_test=row[3], other_sd=row[4], other_n=row[5]) if row[2] and row[5] else np.nan
        for row in zip(*columns, strict=True)
    ]
    chance = sides["own"]["at_chance"].eq(True) | sides["published"]["at_chance"].eq(True)
    chance &= index.get_level_values("metric").isin(DEO)
    columns = table["difference"], table["noise"], chance
    table["verdict"] = [_verdict(*row) for row in zip(*columns, strict=True)]
    return table.reset_index()


def studies_markdown(comparison: pd.DataFrame, *, published: str) -> str:
    """Return what `compare_studies` returned as Markdown; `published` names the folder of the published study."""
    table = comparison[[*PLACE, "metric"]].map(printed)
    for side in SIDES:
        means, sds = numbers(comparison[side], "{:.3f}"), numbers(comparison[f"{side}_sd"], " ± {:.3f}")
        table[side] = [f"{mean}{sd}" for mean, sd in zip(means, sds, strict=True)]
        table[f"n {side}"] = comparison[f"{side}_n"]
    table["difference"] = numbers(comparison["difference"], "{:+.3f}")
    table["noise"] = numbers(comparison["noise"], "{:.3f}")
    table["verdict"] = comparison["verdict"]
    text = (
        f"Each model of this study (own) beside the model of the same names in `{published}` (published): mean and sd "
        "over n seeds of each metric, as fractions, and own minus published. A difference is "
        f"`{WITHIN}` where, with 95 % probability, other seeds and other test images could give it to models of the "
        f"same settings; else it is `{OUTSIDE}`. Only names are matched: a model whose settings were changed keeps its "
        "row. Where n = 0, that study lacks the model."
    )
    if AT_CHANCE in set(comparison["verdict"]):
        text += (
            f" The verdict on a DEO is `{AT_CHANCE}` where a model is no more accurate than one that names the largest "
            "class for every image: its DEO says nothing about fairness."
        )
    return "\n\n".join(["# Published and own results", text, markdown(table)]) + "\n"


def _means(runs: pd.DataFrame) -> pd.DataFrame:
    """Mean, sd and n over seeds, half the test-set interval and whether a seed is at chance, by model and metric."""
    rows = {}
    for names, seeds in runs.assign(at_chance=at_chance(runs)).groupby(PLACE, sort=False):
        for metric in MEASURED:
            values, half = seeds[metric], (seeds[f"{metric}_high"] - seeds[f"{metric}_low"]).mean() / 2
            rows[*names, metric] = {
                "mean": values.mean(),
                "sd": values.std(),
                "n": len(values),
                "test": half,
                "at_chance": bool(seeds["at_chance"].any()),
            }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis([*PLACE, "metric"])


def _verdict(difference: float, allowed: float, at_chance: bool) -> str:
    if np.isnan(difference):
        return ""
    if at_chance:
        return AT_CHANCE
    return WITHIN if abs(difference) <= allowed else OUTSIDE
