"""Equalized odds by post-processing: Hardt, Price, Srebro, "Equality of Opportunity in Supervised Learning", NIPS 2016.

A derived predictor changes what a trained model says to a random label, whose distribution depends on what the model
said and on the group alone. Among those that satisfy equalized odds, P(new label = k | Y = y, A = a) the same in all
groups a for all k and y, it has the smallest error.
"""

import numpy as np
import torch
from fairlearn.postprocessing import ThresholdOptimizer
from numpy.typing import NDArray
from scipy.linalg import block_diag
from scipy.optimize import linprog
from sklearn.base import BaseEstimator
from torch import Tensor

from fairdistill.methods.base import Task
from fairdistill.methods.post_processing import PostProcessing
from fairdistill.networks import Output
from fairdistill.settings.methods import Hardt as Settings


class Hardt(PostProcessing):
    """The derived predictor of equalized odds with the smallest error on the validation split.

    With two classes it is derived from the score s, the difference of the two logits (the paper's "Deriving from a
    score function"). For each group

        P(new label = 1 | s, a) = c_a + sum over i = 1, 2 of w_ai 1[s > t_ai],

    a mixture of two thresholds and, for the groups whose ROC curve is above the others', of a constant. fairlearn's
    `ThresholdOptimizer` finds them: on a grid of 1,000 false positive rates, where the paper has a convex problem.

    With more classes it is derived from the predicted label ("Deriving from a binary predictor", where the linear
    programme is stated for two classes; Putzel and Lee, "Blackbox Post-Processing for Multiclass Fairness", 2022, have
    it for more): P(new label = k | predicted label = j, A = a) = x_ajk solves

        minimise  sum over a, j and k of  -P(A = a, Y = k) C_akj x_ajk
        so that   sum over j of C_ayj x_ajk  is the same for all a,   sum over k of x_ajk = 1,   x >= 0,

    with C_ayj = P(predicted label = j | Y = y, A = a) on the validation split. There is always a solution, as labels
    that do not depend on the prediction satisfy the constraints.

    The label is drawn from the probabilities that this predicts; the most probable one would not satisfy the
    constraints. They hold on the validation split, on average over the draws, and elsewhere as far as it is like it.
    """

    randomised = True
    settings: Settings

    def __init__(self, settings: Settings, task: Task):
        super().__init__(settings, task)
        # before `fit`, the most probable class
        if self.n_classes == 2:
            self.register_buffer("constant", torch.zeros(self.n_groups, dtype=torch.float64))
            self.register_buffer("threshold", torch.zeros(self.n_groups, 2, dtype=torch.float64))
            self.register_buffer("weight", torch.tensor([[1.0, 0.0]], dtype=torch.float64).repeat(self.n_groups, 1))
        else:
            self.register_buffer("transition", torch.eye(self.n_classes).repeat(self.n_groups, 1, 1))

    def fit(self, logits: NDArray, label: NDArray, group: NDArray) -> None:
        """Find the thresholds and their weights, or the probabilities of the new labels."""
        if self.n_classes == 2:
            found = thresholds(logits[:, 1] - logits[:, 0], label, group)
        else:
            counts = np.zeros((self.n_groups, self.n_classes, self.n_classes))
            np.add.at(counts, (group, label, logits.argmax(axis=1)), 1)
            found = {"transition": derived_predictor(counts)}
        for name, values in found.items():
            self.get_buffer(name).copy_(torch.from_numpy(values))

    def predict(self, output: Output, group: Tensor) -> Tensor:
        """Return the probabilities that the new label is drawn from."""
        if self.n_classes > 2:
            return self.get_buffer("transition")[group, output.logits.argmax(1)]
        score = output.logits[:, 1].double() - output.logits[:, 0].double()
        above = score[:, None] > self.get_buffer("threshold")[group]
        positive = self.get_buffer("constant")[group] + (self.get_buffer("weight")[group] * above).sum(1)
        positive = positive.clamp(0, 1).float()
        return torch.stack([1 - positive, positive], dim=1)

    def prediction_state(self) -> dict[str, Tensor]:
        """Return what was fitted."""
        return dict(self.named_buffers())


def thresholds(score: NDArray, label: NDArray, group: NDArray) -> dict[str, NDArray]:
    """Return fairlearn's predictor of equalized odds for two classes.

    Parameters
    ----------
    score
        (n,) float64, larger for class 1.
    label, group
        (n,) int64; all groups up to the largest code occur, each with both labels.

    Returns
    -------
    dict
        `constant` (n_groups,), `threshold` and `weight`, both (n_groups, 2), float64: class 1 has the probability
        constant + sum of the weights of those thresholds that the score is above.
    """
    optimizer = ThresholdOptimizer(
        estimator=_Score(), constraints="equalized_odds", prefit=True, predict_method="predict"
    )
    optimizer.fit(score[:, None], label, sensitive_features=group)
    by_group = optimizer.interpolated_thresholder_.interpolation_dict
    rules = [by_group[a] for a in range(len(by_group))]
    # without `flip`, each operation is a score above a threshold
    weights = [[(1 - rule.p_ignore) * p for p in (rule.p0, rule.p1)] for rule in rules]
    return {
        "constant": np.array([rule.p_ignore * rule.prediction_constant for rule in rules], dtype=float),
        "threshold": np.array([[rule.operation0.threshold, rule.operation1.threshold] for rule in rules], dtype=float),
        "weight": np.array(weights, dtype=float),
    }


def derived_predictor(counts: NDArray) -> NDArray:
    """Return the probabilities of new labels, given the predicted label and the group, that solve the linear programme.

    Parameters
    ----------
    counts
        (n_groups, n_classes, n_classes): images by group, label and predicted label; every label occurs in every group.

    Returns
    -------
    NDArray
        (n_groups, n_classes, n_classes) float64, P(new label = k | predicted label = j, A = a) at [a, j, k].
    """
    n_groups, n, _ = counts.shape
    confusion = counts / counts.sum(axis=2, keepdims=True)
    # at [a, j, k]: what is right if the label of the images of group a that were predicted as j becomes k
    right = counts.transpose(0, 2, 1) / counts.sum()
    # the confusion rows that each group gets, as a function of its part of the unknowns
    rows = [np.kron(of_group, np.eye(n)) for of_group in confusion]
    same = np.hstack([np.tile(-rows[0], (n_groups - 1, 1)), block_diag(*rows[1:])])
    adds_up = np.kron(np.eye(n_groups * n), np.ones(n))
    solution = linprog(
        -right.ravel(),
        A_eq=np.vstack([same, adds_up]),
        b_eq=np.concatenate([np.zeros(len(same)), np.ones(len(adds_up))]),
        bounds=(0, 1),
        method="highs",
    )
    if not solution.success:
        raise RuntimeError(f"the linear programme of equalized odds was not solved: {solution.message}")
    found = solution.x.reshape(n_groups, n, n).clip(0, 1)
    return found / found.sum(axis=2, keepdims=True)


class _Score(BaseEstimator):
    """A fitted model, as fairlearn wants one, whose prediction is its only input."""

    def fit(self, X: NDArray, y: NDArray) -> "_Score":
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict(self, X: NDArray) -> NDArray:
        return X[:, 0]
