"""How a training is computed: the fast way, or the plain way that it is held against.

In fp32 the two differ by rounding alone. With `precision: auto` the fast engine takes bfloat16 where that pays.

An engine is a module with

- `Images(dataset, split, device)`, one split's pictures (see `fairdistill.training.engines.base`);
- `prepare(model, objective, device)`, which moves a network and its method to the device and fits them for training
  there, in place;
- `optimizer(weights, device, learning_rate=..., weight_decay=...)`, Adam;
- `TeacherOutputs(teacher, images, flip=...)`, which freezes the teacher in place; called with a batch's (positions,
  flip, images) it gives the teacher's features and logits;
- `BF16_PAYS`, the (type of device, kind of architecture) that gain by bfloat16.
"""

from importlib import import_module
from types import ModuleType

ENGINES = {
    "fast": "fairdistill.training.engines.fast",
    "reference": "fairdistill.training.engines.reference",
}


def load_engine(name: str) -> ModuleType:
    """The module of an engine."""
    return import_module(ENGINES[name])
