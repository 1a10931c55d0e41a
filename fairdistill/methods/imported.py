"""A model that was trained elsewhere: nothing is trained here, and the network has the weights of a file."""

from fairdistill.methods.base import Method, Stage


class Imported(Method):
    """The network as it was read, which predicts by the softmax of its logits."""

    def stages(self, epochs: int) -> list[Stage]:
        """Train nothing."""
        return []
