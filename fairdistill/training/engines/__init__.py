"""How a training is computed: the fast way, or the plain way that it is compared with.

In fp32 the two differ by rounding alone. With `precision: auto` the fast engine takes bfloat16 where that pays.

An engine is a module, named in `fairdistill.settings.training`, with

- `Images(dataset, split, device)`, one split's images (see `fairdistill.training.engines.base`);
- `prepare(network, method, device, size)`, which moves a network and its method to the device and fits them for
  training there, in place, with images of `size` pixels' edge;
- `optimizer(weights, device, learning_rate=..., weight_decay=...)`, Adam;
- `record(step, device)`, which returns a function that does what `step` does, faster if it can; `step` makes the same
  torch operations each time it is called;
- `BaseOutputs(base, method, images, flip=..., bf16=...)`, which freezes the base in place; called with a batch's
  (positions, flip, images) it gives what the method reads of the base's outputs;
- `bf16_pays(device, kind)`, whether a kind of network gains by bfloat16 on hardware that has it;
- `convolutions(device, precision)`, the kind of processor by whose measurements the algorithms of convolutions are
  chosen, None where torch chooses them.
"""

from importlib import import_module
from types import ModuleType

from fairdistill.settings.training import Training


def load_engine(name: str) -> ModuleType:
    """Return the module of an engine."""
    return import_module(Training.engines[name])
