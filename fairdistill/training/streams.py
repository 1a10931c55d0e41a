"""Where the random numbers of a training come from: a stream for the initial weights, and one for the order."""

from dataclasses import dataclass

import numpy as np

from fairdistill.settings.training import Training

ROLES = ("teacher", "student")


@dataclass(frozen=True)
class Streams:
    """The seeds of a training's random numbers.

    A student's differ from those of a teacher of the same seed, so that it does not start from its teacher's weights;
    all students of one seed and fold start from the same weights and, where they sample alike, see the same batches.
    The trainings of two folds start from different weights and draw their epochs apart, but for the first epoch of fold
    f, which is drawn as epoch f of the first fold, of other images. What `weights_seed` or `order_seed` hold fixed is
    the same for all seeds and folds.

    Attributes
    ----------
    weights
        Seed of torch's generator while the network and the method are made.
    order
        What numpy's generator of each epoch is seeded with, before the epoch's number: it decides the order of the
        images, the flips and crops, and what the method draws.
    """

    weights: int
    order: tuple[int, ...]

    @classmethod
    def of(cls, seed: int, settings: Training, *, role: str, fold: int = 0) -> "Streams":
        """Return the streams of the model of a seed, a role ("teacher" or "student") and a fold."""
        stream = ROLES.index(role)
        weights = 2 * (seed if settings.weights_seed is None else settings.weights_seed) + stream
        if fold and settings.weights_seed is None:
            weights = int(np.random.SeedSequence([weights, fold]).generate_state(1, np.uint64)[0] >> 1)
        order = (seed, stream) if settings.order_seed is None else (settings.order_seed, stream)
        return cls(weights, (*order, fold) if fold and settings.order_seed is None else order)

    def epoch(self, epoch: int) -> np.random.Generator:
        """Return numpy's generator for an epoch, numbered from 0."""
        return np.random.default_rng([*self.order, epoch])
