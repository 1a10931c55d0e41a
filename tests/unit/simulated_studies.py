"""Simulated studies whose true values are known: trainings that differ, tested on images that differ in difficulty."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr, ndtri

from fairdistill.evaluation.correctness import Correctness
from fairdistill.evaluation.criteria import MEASURES
from fairdistill.evaluation.crossed import Trainings, difference
from fairdistill.evaluation.uncertainty import ENDS, mean_deo_interval

FAIR = np.full((4, 3), 0.75)
MILD = FAIR + np.array([[0.05], [0.0], [-0.02], [-0.05]]) * [1, 0.8, 0.8]
TIED = np.repeat([[0.9], [0.9], [0.7], [0.7]], 3, axis=1)
# of the ResNet student on UTKFace
STRONG = np.array([[0.81, 0.76, 0.84], [0.63, 0.89, 0.70], [0.95, 0.93, 0.79], [0.87, 0.86, 0.74]])
# half the gap between the two groups of each class; strong is about the ResNet student on CIFAR-10S
HALF_GAPS = np.array([0, 0.02, 0.02, 0.05, 0.04, 0.08, 0.06, 0.04, 0.03, 0.03])
CIFAR10S_FAIR, CIFAR10S_MILD, CIFAR10S_STRONG = (
    np.stack([0.8 - factor * HALF_GAPS, 0.8 + factor * HALF_GAPS]) for factor in (0, 0.25, 1)
)


@dataclass(frozen=True)
class Design:
    """Two models, (n_groups, n_classes) true accuracies of a typical training each, and how they are tested.

    `spread` is how much trainings differ, in the cells' probits; 0.15 is about the noise of 100 images. An answer is
    right where the image's difficulty, standard normal, is below the probit of the cell's accuracy; `common` of its
    variance is that of all trainings, 0.1 each that of the trainings of one model and of one seed. Copies share 0.7.
    """

    accuracy: tuple[np.ndarray, np.ndarray]
    images: int
    seeds: int
    spread: float = 0.0
    folds: int = 1
    paired: bool = False
    common: float = 0.4

    def typical(self, rng: np.random.Generator, seeds: int) -> np.ndarray:
        """True accuracies of trainings, (2, seeds, folds, n_groups, n_classes)."""
        probit = ndtri(np.stack(self.accuracy))[:, None, None]
        noise = rng.standard_normal((2, seeds, self.folds, *self.accuracy[0].shape))
        return ndtr(probit + self.spread * noise)

    def truth(self) -> dict[str, np.ndarray]:
        """The true mean over trainings of each metric, of both models; over folds the cells are averaged first."""
        cells = self.typical(np.random.default_rng(0), 20_000 if self.spread else 1).mean(axis=2)
        return {"accuracy": cells.mean(axis=(1, 2, 3))} | {
            name: measure(cells).mean(axis=1) for name, measure in MEASURES.items()
        }

    def study(self, rng: np.random.Generator, draws: int) -> list[Trainings]:
        """Both models of one study."""
        right = self._difficulty(rng) < ndtri(self.typical(rng, self.seeds))[..., None]

        def answers(bits: np.ndarray, fold: int) -> Correctness:
            return Correctness([list(group) for group in bits], self.paired, f"fold {fold}")

        return [
            Trainings([[answers(bits, k) for k, bits in enumerate(folds)] for folds in model], draws=draws)
            for model in right
        ]

    def _difficulty(self, rng: np.random.Generator) -> np.ndarray:
        groups, classes = self.accuracy[0].shape
        shares = [((1, 1), self.common), ((2, 1), 0.1), ((1, self.seeds), 0.1), ((2, self.seeds), 0.8 - self.common)]
        total = np.zeros((2, self.seeds, self.folds, groups, classes, self.images), dtype=np.float32)
        for who, share in shares:
            of_each = rng.standard_normal((*who, self.folds, groups, classes, self.images), dtype=np.float32)
            if self.paired:
                of_image = rng.standard_normal((*who, self.folds, 1, classes, self.images), dtype=np.float32)
                of_each = np.sqrt(0.3) * of_each + np.sqrt(0.7) * of_image
            total += np.sqrt(share) * of_each
        return total


def simulate(
    design: Design, studies: int, draws: int, other_folds: int | None = None
) -> dict[tuple[str, str], np.ndarray]:
    """Return the true value, low, corrected and high of each study, (4, studies), by what is estimated and metric.

    What is estimated is the mean of the first model, "mean", and its difference to the second, "gap". With
    `other_folds` the second has so many, and no image or training in common with the first.
    """
    rng, found = np.random.default_rng(1), {}
    truth = {metric: of_both.copy() for metric, of_both in design.truth().items()}
    models = [design.study(rng, draws) for _ in range(studies)]
    if other_folds is not None:
        apart = replace(design, folds=other_folds)
        models = [[model, apart.study(rng, draws)[1]] for model, _ in models]
        for metric, of_both in apart.truth().items():
            truth[metric][1] = of_both[1]
    for of_model in zip(*models, strict=True):
        _find_intervals(of_model)
    for model, other in models:
        for of, estimates in {"mean": model.mean, "gap": difference(model, other)}.items():
            for metric, one in estimates.items():
                true = truth[metric][0] - (truth[metric][1] if of == "gap" else 0)
                found.setdefault((of, metric), []).append((true, one.low, one.corrected, one.high))
    return {of: np.transpose(results) for of, results in found.items()}


def _find_intervals(models: Sequence[Trainings]) -> None:
    """Give the models of all studies what they would find one by one, in a fifth of the time."""
    cells = np.stack([model.over_folds(model.cells) for model in models], axis=1)
    errors = [model.over_folds(model.errors.reshape(-1, *model.cells.shape)) for model in models]
    ends = {
        measure: np.transpose(mean_deo_interval(cells, np.stack(errors, axis=2), measure=measure))
        for measure in MEASURES
    }
    for i, model in enumerate(models):
        model.known = {measure: dict(zip(ENDS, found[i], strict=True)) for measure, found in ends.items()}


def coverage(results: np.ndarray) -> float:
    """The share of the intervals that hold the true value."""
    true, low, _, high = results
    return float(np.mean((low <= true + 1e-9) & (true <= high + 1e-9)))
