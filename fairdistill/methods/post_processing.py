"""What the methods that train nothing have in common: they change the predictions of their base."""

from collections.abc import Iterator

import torch
from numpy.typing import NDArray
from torch import Tensor

from fairdistill.methods.base import Method, Stage
from fairdistill.networks import Classifier, Output
from fairdistill.runtime.errors import UserError


class PostProcessing(Method):
    """The network of the base as it is, with a prediction for each group that is fitted on the validation split."""

    needs_group = True

    def initialise(self, network: Classifier, base: Classifier | None) -> None:
        """Take the base's weights; a UserError says so where the base is another network."""
        assert base is not None, "the training loop refuses a training without its base"
        try:
            network.load_state_dict(base.state_dict())
            network.preprocess = base.preprocess
        except RuntimeError:
            raise UserError(
                f"method {self.settings.kind} changes the predictions of its base, which is another network than the "
                "one to make; give both the same --network"
            ) from None

    def stages(self, epochs: int) -> list[Stage]:
        """Train nothing."""
        return []

    def calibrate(self, outputs: Iterator[tuple[Output, Tensor, Tensor]]) -> None:
        """Fit the prediction on all validation images together, in double precision."""
        parts = [(output.logits, label, group) for output, label, group in outputs]
        logits, label, group = (torch.cat(values).cpu().numpy() for values in zip(*parts, strict=True))
        self.fit(logits.astype("float64"), label, group)

    def fit(self, logits: NDArray, label: NDArray, group: NDArray) -> None:
        """Set the buffers that `predict` reads.

        Parameters
        ----------
        logits
            (n, n_classes) float64, of the validation images; every (group, class) cell has at least one.
        label, group
            (n,) int64.
        """
        raise NotImplementedError
