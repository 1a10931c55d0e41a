"""The best epoch of a training so far, by accuracy on the validation split."""

from torch import Tensor, nn


class BestEpoch:
    """Keeps the weights of a network and its method of the epoch that was offered with the highest accuracy.

    The earliest of equals is kept. It has a state like an optimiser's, so that it is resumed with the training.

    Attributes
    ----------
    epoch
        Its number, from 1; 0 before any was offered.
    """

    def __init__(self, network: nn.Module, method: nn.Module):
        self.parts = {"network": network, "method": method}
        self.epoch, self.accuracy = 0, -1.0
        self.weights: dict[str, dict[str, Tensor]] = {}

    def offer(self, epoch: int, accuracy: float) -> None:
        """Keep the present weights if `accuracy` is the highest so far."""
        if accuracy > self.accuracy:
            self.epoch, self.accuracy = epoch, accuracy
            self.weights = {
                name: {key: value.detach().cpu().clone() for key, value in part.state_dict().items()}
                for name, part in self.parts.items()
            }

    def restore(self) -> None:
        """Load the kept weights."""
        for name, part in self.parts.items():
            part.load_state_dict(self.weights[name])

    def state_dict(self) -> dict:
        """Return what `load_state_dict` takes."""
        return {"epoch": self.epoch, "accuracy": self.accuracy, "weights": self.weights}

    def load_state_dict(self, state: dict) -> None:
        """Go on from a state of `state_dict`."""
        self.epoch, self.accuracy, self.weights = state["epoch"], state["accuracy"], state["weights"]
