"""Temperature scaling per group: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", 2017."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from torch import Tensor

from fairdistill.methods.base import Task
from fairdistill.methods.post_processing import PostProcessing
from fairdistill.networks import Output
from fairdistill.settings.methods import GroupTemperature as Settings

# where no label of a group contradicts the model, the best temperature is zero, and one of this range is taken
COLDEST, HOTTEST = 0.01, 100.0


class GroupTemperature(PostProcessing):
    """softmax(logits / T_a) for the images of group a: the base's predictions, calibrated in each group by itself.

    T_a minimises the negative log-likelihood of the group's validation images (Guo et al., ICML 2017, section 4.2,
    where one T is fitted to all images). The most probable class stays, and with it accuracy and DEO.

    The authors' code makes up to 50 steps of L-BFGS from T = 1.5; here the minimum is found by Brent's method. There is
    one alone, as the negative log-likelihood is convex in 1 / T.
    """

    settings: Settings

    def __init__(self, settings: Settings, task: Task):
        super().__init__(settings, task)
        self.register_buffer("temperature", torch.ones(self.n_groups))

    def fit(self, logits: NDArray, label: NDArray, group: NDArray) -> None:
        """Find the temperature of each group."""
        for a in range(self.n_groups):
            self.get_buffer("temperature")[a] = best_temperature(logits[group == a], label[group == a])

    def predict(self, output: Output, group: Tensor) -> Tensor:
        """Return the probabilities at the temperature of each image's group."""
        return (output.logits / self.get_buffer("temperature")[group, None]).softmax(1)

    def prediction_state(self) -> dict[str, Tensor]:
        """Return the temperatures."""
        return dict(self.named_buffers())


def best_temperature(logits: NDArray, label: NDArray) -> float:
    """Return the T in 0.01..100 at which softmax(logits / T) has the smallest negative log-likelihood.

    Parameters
    ----------
    logits
        (n, n_classes) float64.
    label
        (n,) int64.
    """
    # what is the same for all classes of an image changes nothing
    margins = logits - logits[np.arange(len(label)), label][:, None]

    def loss(log_temperature: float) -> float:
        return float(logsumexp(margins / np.exp(log_temperature), axis=1).mean())

    found = minimize_scalar(loss, bounds=np.log([COLDEST, HOTTEST]), method="bounded", options={"xatol": 1e-9})
    return float(np.exp(found.x))
