"""How a training is computed: the fast way, or the plain way that it is held against. The result is the same.

An engine is a module with

- `Images(dataset, split, device)`, one split's pictures (see `fairdistill.engines.base`);
- `prepare(model, objective, device)`, which moves a network and its method to the device, ready to train;
- `TeacherOutputs(teacher, images, flip=...)`, called with a batch's (positions, flip, images) for the teacher's
  features and logits;
- `BF16_PAYS`, the (type of device, kind of architecture) that gain by bfloat16.
"""

from importlib import import_module
from types import ModuleType

ENGINES = {
    "fast": "fairdistill.engines.fast",
    "reference": "fairdistill.engines.reference",
}


def load_engine(name: str) -> ModuleType:
    """The module of an engine."""
    return import_module(ENGINES[name])
