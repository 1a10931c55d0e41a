"""The numbers of a published study and one's own, side by side."""

import numpy as np
import pandas as pd

from fairdistill.evaluation.uncertainty import AT_CHANCE
from fairdistill.reporting.columns import DEO, MEASURED, MODEL
from fairdistill.reporting.labels import printed
from fairdistill.reporting.notes import ALONE_MARK, CHANCE_VERDICT_NOTE, GROUP_NOTE, alone, needing_group
from fairdistill.reporting.printing import markdown, numbers, with_sd
from fairdistill.reporting.verdicts import noise_between

WITHIN, OUTSIDE = "within the noise", "outside the noise"
SIDES = ["published", "own"]
SAME_IMAGES, OTHER_IMAGES = "same", "other"


def compare_studies(published: pd.DataFrame, own: pd.DataFrame) -> pd.DataFrame:
    """Return both studies' means over seeds and whether they differ by more than noise, one row per model and metric.

    Columns: dataset, architecture, method, metric (accuracy, deo_a, deo_m); published, published_sd, published_n; own,
    own_sd, own_n; test_images, whether these are the `same` in both or `other`; trainings, the larger of the two
    numbers; needs_group, whether the method needs the group of each image at prediction time in one of the two;
    difference (own minus published); noise, see `fairdistill.reporting.verdicts.noise_between`; verdict:
    within or outside the noise, or "at chance" for the DEO of a model of which a training, on either side, is no more
    accurate than one that names the largest class. A model that one study lacks has n = 0 there, and no verdict. Models
    are in the order of `own`; those that it lacks come last.

    Parameters
    ----------
    published, own : DataFrames
        See `fairdistill.reporting.summaries.summarise`. Models are matched by their names.
    """
    key = [*MODEL, "metric"]
    means = {
        side: study[study["metric"].isin(MEASURED)].set_index(key)
        for side, study in {"published": published, "own": own}.items()
    }
    index = means["own"].index.append(means["published"].index.difference(means["own"].index, sort=False))
    sides = {side: found.reindex(index) for side, found in means.items()}
    table = pd.DataFrame(index=index)
    for side, found in sides.items():
        table[side], table[f"{side}_sd"], table[f"{side}_n"] = (
            found["mean"],
            found["sd"],
            found["n"].fillna(0).astype(int),
        )
    both = sides["published"]["n"].notna() & sides["own"]["n"].notna()
    same = sides["published"]["test_images"] == sides["own"]["test_images"]
    table["test_images"] = np.where(~both, "", np.where(same, SAME_IMAGES, OTHER_IMAGES))
    of_published, of_own = (found["trainings"].fillna(0) for found in sides.values())
    table["trainings"] = np.maximum(of_published, of_own).astype(int)
    table["needs_group"] = sides["own"]["needs_group"].eq(True) | sides["published"]["needs_group"].eq(True)
    table["difference"] = table["own"] - table["published"]
    of_both = zip(*(found.to_dict("records") for found in sides.values()), strict=True)
    table["noise"] = np.where(table["difference"].isna(), np.nan, [noise_between(*rows) for rows in of_both])
    chance = sides["own"]["at_chance"].eq(True) | sides["published"]["at_chance"].eq(True)
    chance &= index.get_level_values("metric").isin(DEO)
    columns = table["difference"], table["noise"], chance
    table["verdict"] = [_verdict(*row) for row in zip(*columns, strict=True)]
    return table.reset_index()


def studies_markdown(comparison: pd.DataFrame, *, published: str) -> str:
    """Return what `compare_studies` returned as Markdown; `published` names the folder of the published study."""
    table = comparison[[*MODEL, "metric"]].map(printed)
    table["method"] = needing_group(table["method"], comparison["needs_group"])
    for side in SIDES:
        table[side] = with_sd(comparison[side], comparison[f"{side}_sd"])
        table[f"n {side}"] = comparison[f"{side}_n"]
    table["difference"] = numbers(comparison["difference"], "{:+.3f}")
    table["noise"] = alone(numbers(comparison["noise"], "{:.3f}"), comparison["trainings"])
    table["verdict"] = comparison["verdict"]
    text = (
        "Each model of this study (own) beside the model with the same data set, architecture and method in "
        f"`{published}` (published): mean and sd of each metric over n seeds, as fractions, and own minus published. A "
        f"difference is `{WITHIN}` if it is in the range that holds 95 % of the differences which other seeds and "
        f"other test images cause between models of the same settings, and `{OUTSIDE}` otherwise. Models are matched "
        "by their names only: one whose settings were changed keeps its row. If n = 0, that study lacks the model."
    )
    if others := sorted(set(comparison.loc[comparison["test_images"] == OTHER_IMAGES, "dataset"])):
        text += (
            f" The test images of {' and '.join(map(printed, others))} are not the same in both studies: the noise "
            "there is computed as if the studies shared none, and is too large if they share many."
        )
    if ((comparison["trainings"] == 1) & comparison["noise"].notna()).any():
        text += f" {ALONE_MARK} one training in both studies: the noise is that of the test images alone."
    if comparison["needs_group"].any():
        text += f" {GROUP_NOTE}"
    if AT_CHANCE in set(comparison["verdict"]):
        text += f" {CHANCE_VERDICT_NOTE}"
    return "\n\n".join(["# Published and own results", text, markdown(table)]) + "\n"


def _verdict(difference: float, allowed: float, at_chance: bool) -> str:
    if np.isnan(difference):
        return ""
    if at_chance:
        return AT_CHANCE
    return WITHIN if abs(difference) <= allowed else OUTSIDE
