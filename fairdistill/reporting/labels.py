"""How names are printed in tables and figures."""

from collections.abc import Sequence

LABELS = {
    "cifar10s": "CIFAR-10S",
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


def listed(names: Sequence[str]) -> str:
    """Return names as a phrase: 'a', 'a and b', 'a, b and c'."""
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
