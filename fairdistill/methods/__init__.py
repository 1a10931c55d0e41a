"""The training methods: one module each, found by the `kind` that a config gives.

A method is a small `torch.nn.Module`. It says what sampling it wants, whether it needs a teacher, and gives the
terms of the loss; whatever it learns beside the student (a regressor between feature widths) is among its own
parameters. To add one, write a module here, name it below, and describe its settings in the config schema.
"""

import importlib
import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from fairdistill.runtime.errors import UserError, check_type

if TYPE_CHECKING:
    from fairdistill.methods.base import Method

METHODS = {
    "scratch": "fairdistill.methods.scratch:Scratch",
    "mfd": "fairdistill.methods.mfd:MFD",
}


class Shape(NamedTuple):
    """Sizes that a method may need: of the label and group sets, and of the two feature vectors."""

    n_classes: int
    n_groups: int
    student_width: int
    teacher_width: int | None = None


def build_method(settings: Mapping, shape: Shape) -> "Method":
    """Make the method that `settings` describes: `kind`, and the keyword arguments of its class."""
    options = dict(settings)
    kind = options.pop("kind", None)
    if kind not in METHODS:
        raise UserError(f"method: unknown kind {kind!r}; choose one of {', '.join(METHODS)}")
    module, name = METHODS[kind].split(":")
    cls = getattr(importlib.import_module(module), name)
    # `lambda` is a keyword of Python, so its parameter is `lambda_`
    names = {name.rstrip("_"): name for name in inspect.signature(cls).parameters if name != "shape"}
    types = {key: inspect.signature(cls).parameters[name].annotation for key, name in names.items()}
    for key, value in options.items():
        if key not in names:
            raise UserError(f"method {kind}: unknown setting {key!r}; known are {', '.join(names)}")
        check_type(f"method {kind}", key, value, types[key])
    return cls(shape=shape, **{names[key]: value for key, value in options.items()})
