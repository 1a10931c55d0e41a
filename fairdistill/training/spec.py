"""What one training is told."""

from dataclasses import dataclass
from pathlib import Path

from fairdistill.settings.methods import Method
from fairdistill.settings.names import Names
from fairdistill.settings.networks import Network
from fairdistill.settings.training import Training


@dataclass(frozen=True)
class Job:
    """What one training is told.

    Attributes
    ----------
    data
        Folder of a prepared data set.
    output
        Folder for the model and its predictions.
    base
        weights.safetensors of the model that the method stands on; None where it stands on none.
    base_record
        training.json of the base, which has the checksum of its weights; None leaves them unchecked.
    base_network
        What the base must be; None leaves it unchecked.
    checkpoint
        File with the weights that the training starts from, or with the model where the method imports it; None where
        the weights are drawn.
    fold
        The number, from 0, of the data set's fold to train and test on; 0 where it was not divided.
    names
        The names that the model is filed under.
    code
        Version of the code, to record and to guard the state of an interrupted training with; empty if unknown.
    """

    data: Path
    output: Path
    network: Network
    method: Method
    training: Training
    seed: int
    names: Names
    base: Path | None = None
    base_record: Path | None = None
    base_network: Network | None = None
    checkpoint: Path | None = None
    fold: int = 0
    code: str = ""
