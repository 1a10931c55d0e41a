"""How names are printed in tables and figures."""

from collections.abc import Iterable, Sequence

import pandas as pd

LABELS = {
    "cifar10s": "CIFAR-10S",
    "cifar10": "CIFAR-10",
    "utkface": "UTKFace",
    "celeba": "CelebA",
    "digits_s": "Digits-S",
    "resnet": "ResNet",
    "shufflenet": "ShuffleNet",
    "accuracy": "Accuracy",
    "deo": "DEO",
    "deo_a": "DEO_A",
    "deo_m": "DEO_M",
}


def printed(name: str) -> str:
    """Return the printed form of a name; a name that has none is printed as it is."""
    return LABELS.get(name, name)


def method_numbers(ranking: pd.DataFrame) -> dict[str, int]:
    """Return what stands for each student method of a data set in all of its figures.

    It is the rank on the first architecture; methods that this one lacks come after.

    Parameters
    ----------
    ranking
        Of that data set, see `fairdistill.reporting.ranking.rank_methods`.
    """
    students = ranking[ranking["role"] == "student"]
    first = students["architecture"] == ranking["architecture"].iloc[0]
    names = [*students[first].sort_values("rank")["method"], *students.loc[~first, "method"]]
    return {name: number for number, name in enumerate(dict.fromkeys(names), start=1)}


def count_of_seeds(counts: Iterable[int]) -> str:
    """Return how many seeds each of some models has, as a phrase: '1 seed', '3 seeds', '1 to 3 seeds'."""
    least, most = min(counts := set(counts)), max(counts)
    return f"{f'{least} to ' if least < most else ''}{most} seed{'s' * (most > 1)}"


def listed(names: Sequence[str]) -> str:
    """Return names as a phrase: 'a', 'a and b', 'a, b and c'."""
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
