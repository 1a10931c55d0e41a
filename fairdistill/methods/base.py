"""What every method has in common."""

from typing import NamedTuple

from torch import Tensor, nn

from fairdistill.data.sampling import SAMPLINGS
from fairdistill.methods import Shape
from fairdistill.networks import Output
from fairdistill.runtime.errors import UserError


class Batch(NamedTuple):
    """The annotations of a batch: `label` (B,) and `group` (B,), int64."""

    label: Tensor
    group: Tensor


class Method(nn.Module):
    """A way to train a network.

    Attributes
    ----------
    sampling
        How batches are drawn: "plain" or "balanced" over (group, class) cells.
    needs_teacher
        Whether `loss` reads the teacher's output.
    """

    needs_teacher = False

    def __init__(self, *, shape: Shape, sampling: str):
        super().__init__()
        if sampling not in SAMPLINGS:
            raise UserError(f"method: unknown sampling {sampling!r}; choose one of {', '.join(SAMPLINGS)}")
        self.shape = shape
        self.sampling = sampling

    def loss(self, batch: Batch, student: Output, teacher: Output | None) -> dict[str, Tensor]:
        """Name each term of the loss; training minimises their sum."""
        raise NotImplementedError
