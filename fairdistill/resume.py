"""State that lets a killed training go on after its last whole epoch."""

import io
import sys
from collections.abc import Mapping
from pathlib import Path

import torch

from fairdistill.files import replacing


class ResumeState:
    """A file beside a training's outputs, bound to one configuration.

    Parameters
    ----------
    path
        Where the state lives. It is written whole or not at all.
    fingerprint
        A digest of all that decides the result: parameters, code, inputs. State with another is discarded.
    """

    def __init__(self, path: Path | str, fingerprint: str):
        self.path = Path(path)
        self.fingerprint = fingerprint

    def save(self, parts: Mapping, history: list[dict]) -> None:
        """Keep the `state_dict` of each of `parts` and the history so far."""
        state = {"fingerprint": self.fingerprint, "history": history}
        state |= {name: part.state_dict() for name, part in parts.items()}
        content = io.BytesIO()
        torch.save(state, content)
        # written by Python, whose error on a full disk says so
        with replacing(self.path) as partial:
            partial.write_bytes(content.getbuffer())

    def restore(self, parts: Mapping) -> list[dict]:
        """Load the state into `parts` and return its history; an empty one where there is nothing to go on from."""
        if not self.path.exists():
            return []
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
            belongs = state["fingerprint"] == self.fingerprint
        except Exception as error:
            # whatever a damaged file raises, the training can start anew
            print(f"{self.path}: damaged resume state is ignored ({type(error).__name__})", file=sys.stderr)
            return []
        if not belongs:
            print(f"{self.path}: resume state of another configuration is ignored", file=sys.stderr)
            return []
        for name, part in parts.items():
            part.load_state_dict(state[name])
        return state["history"]

    def discard(self) -> None:
        """The training is done."""
        self.path.unlink(missing_ok=True)
