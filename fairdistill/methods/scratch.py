"""Plain cross-entropy: the teacher's way, and the control of every other method."""

from torch import Tensor
from torch.nn.functional import cross_entropy

from fairdistill.methods import Shape
from fairdistill.methods.base import Batch, Method
from fairdistill.networks import Output


class Scratch(Method):
    """Cross-entropy on the labels, no teacher."""

    def __init__(self, *, shape: Shape, sampling: str = "plain"):
        super().__init__(shape=shape, sampling=sampling)

    def loss(self, batch: Batch, student: Output, teacher: Output | None) -> dict[str, Tensor]:
        return {"cross_entropy": cross_entropy(student.logits, batch.label)}
