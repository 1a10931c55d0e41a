"""torchvision without torch's compiler, which takes a second and 140 MB.

torchvision imports `torch._dynamo` for one function, of which it asks whether a model that detects objects can be
compiled. To import this module is to import torchvision while modules stand in for the compiler that load it when one
of their functions is called. The rest of a training does without it too: see `fairdistill.training.engines.adam`.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

# imported before the stand-ins are there, so that it has none of them
import torch  # noqa: F401

COMPILER = ["torch._dynamo", "torch._dynamo.utils"]


class _StandIn(ModuleType):
    """Has every name, as a function that calls that of the real module."""

    def __getattr__(self, name: str) -> Callable:
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*args: Any, **options: Any) -> Any:
            _remove_stand_ins()
            return getattr(import_module(self.__name__), name)(*args, **options)

        return call


def _import_torchvision() -> None:
    if COMPILER[0] not in sys.modules:
        sys.modules.update({name: _StandIn(name) for name in COMPILER})
    try:
        import_module("torchvision")
    finally:
        _remove_stand_ins()


def _remove_stand_ins() -> None:
    for name in COMPILER:
        if isinstance(sys.modules.get(name), _StandIn):
            del sys.modules[name]


_import_torchvision()
