"""What the pipeline has to know of each classifier of torchvision, found in the networks, and the file that says it.

Which settings a configuration may have is known without torch, so that planning is quick. What follows from the
networks themselves is therefore written down, once for each version of torchvision, and a test compares it with the
networks that are installed.
"""

from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models import regnet

from fairdistill.runtime.errors import UserError
from fairdistill.settings.layout import SMALLEST, Layout

# kinds that have a class of their own in fairdistill/settings/networks.py
OWN = (
    *("resnet18", "resnet34", "resnet50"),
    *("shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "shufflenet_v2_x1_5", "shufflenet_v2_x2_0"),
)
# pixels: of what networks for ImageNet are made for, and of what tells all resolutions apart
MADE_FOR, TRACED = 224, 256
# the first layers halve the resolution once or twice; what is a stage has a quarter of the image's edge, or less
STAGE = 4
OPTIONS = {kind: {"aux_logits": False, "init_weights": False} for kind in ("googlenet", "inception_v3")}
IMAGES, CLASSES = 2, 5
HEADER = '''"""The classifiers of torchvision that have no class of their own among the settings of networks.

Written by `python -m scripts.describe_networks` from the installed torchvision; a test compares it with the networks.
"""

from typing import Literal

from fairdistill.settings.layout import Layout

'''


@contextmanager
def without_memory() -> Iterator[None]:
    """Make networks without weights: shapes alone, so that the largest takes no memory and no time."""
    computed = regnet.BlockParams.from_init_params

    def on_cpu(*args: object, **options: object) -> regnet.BlockParams:
        with torch.device("cpu"):
            return computed(*args, **options)

    # regnets compute their widths with tensors
    regnet.BlockParams.from_init_params = on_cpu
    try:
        with torch.device("meta"), torch.no_grad():
            yield
    finally:
        regnet.BlockParams.from_init_params = computed


def kinds() -> list[str]:
    """The names of torchvision's classifiers that need an entry and can have one."""
    return [kind for kind in models.list_models(module=models) if kind not in OWN and not kind.startswith("squeezenet")]


def measure(kind: str) -> Layout:
    """Return what is written of the network `kind`."""
    with without_memory():
        network = models.get_model(kind, weights=None, num_classes=CLASSES, **OPTIONS.get(kind, {})).eval()
        takes = None if _works(network, TRACED) else MADE_FOR
        smallest = takes or next(size for size in range(SMALLEST, MADE_FOR + 1) if _works(network, size))
        layers, channels_last = _stages(network, takes or TRACED)
        one_pixel = tuple(_largest_of_one_pixel(network, layer, smallest, takes or TRACED) for layer in layers)
    return Layout(
        head=_head(network),
        layers=layers,
        last_map=layers[-1] if layers else "",
        smallest=smallest,
        takes=takes,
        channels_last=channels_last,
        one_pixel=one_pixel,
    )


def _head(network: nn.Module) -> str:
    """The last linear layer, whose input are the features."""
    linear = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    if network.get_submodule(linear[-1]).out_features != CLASSES:
        raise UserError(f"{type(network).__name__}: the last linear layer, {linear[-1]}, does not give the classes")
    return linear[-1]


def _works(network: nn.Module, size: int) -> bool:
    try:
        return network(torch.empty(IMAGES, 3, size, size)).shape == (IMAGES, CLASSES)
    except (RuntimeError, AssertionError, ValueError):
        return False


def _stages(network: nn.Module, size: int) -> tuple[tuple[str, ...], bool]:
    """The layers whose maps are compared: the last of each resolution; and whether their channels come last.

    Of the modules that give maps of one resolution it is the last of the outermost, which is a stage where a network is
    made of stages. A network of tokens has none: the patches that it cuts an image into are no map of what it sees.
    """
    outputs: list[tuple[str, nn.Module, torch.Size]] = []

    def keep(name: str, module: nn.Module, inputs: object, output: object) -> None:
        if isinstance(output, Tensor):
            outputs.append((name, module, output.shape))

    hooks = [
        module.register_forward_hook(lambda *found, name=name: keep(name, *found))
        for name, module in network.named_modules()
        if name
    ]
    network(torch.empty(IMAGES, 3, size, size))
    for hook in hooks:
        hook.remove()
    maps: dict[bool, dict[int, str]] = {False: {}, True: {}}
    tokens = False
    for name, module, shape in outputs:
        if len(shape) == 3:
            tokens = True
        if isinstance(module, nn.AdaptiveAvgPool2d):
            if name.count(".") <= 1:
                # of the whole network, and not of a part such as a squeeze-and-excitation
                break
            continue
        if len(shape) != 4 or shape[0] != IMAGES:
            continue
        channels_last = shape[1] == shape[2] != shape[3]
        edge = shape[1] if channels_last else shape[2]
        if edge * STAGE > size or edge == 1 or (not channels_last and shape[2] != shape[3]):
            continue
        known = maps[channels_last].get(edge)
        if known is None or name.count(".") <= known.count("."):
            maps[channels_last][edge] = name
    # inside of a stage the channels may have another place than in its map: stages are outside
    channels_last = max(maps, key=lambda last: (len(maps[last]), -sum(name.count(".") for name in maps[last].values())))
    found = maps[channels_last]
    stages = tuple(found[edge] for edge in sorted(found, reverse=True))
    return (() if tokens and len(stages) == 1 else stages), channels_last


def _largest_of_one_pixel(network: nn.Module, layer: str, smallest: int, largest: int) -> int:
    """The edge of the largest images of which the map of a layer has one pixel; 0 where none so small is taken."""
    edges = range(smallest, largest + 1)

    def has_more(edge: int) -> bool:
        shapes: list[torch.Size] = []
        hook = network.get_submodule(layer).register_forward_hook(lambda *found: shapes.append(found[2].shape))
        network(torch.empty(IMAGES, 3, edge, edge))
        hook.remove()
        # one edge is of pixels, wherever the channels are
        return shapes[0][2] > 1

    place = bisect_left(edges, True, key=has_more)
    return edges[place] - 1 if place else 0


def content(layouts: dict[str, Layout]) -> str:
    """The content of the file."""
    names = "".join(f'    "{kind}",\n' for kind in layouts)
    rows = "".join(f'    "{kind}": Layout(\n{_fields(layout)}    ),\n' for kind, layout in layouts.items())
    return f"{HEADER}TorchVisionKind = Literal[\n{names}]\n\nLAYOUTS: dict[str, Layout] = {{\n{rows}}}\n"


def _fields(layout: Layout) -> str:
    """The fields of a layout that are not as they are by default, a line each."""
    fields = layout._asdict().items()
    changed = {name: value for name, value in fields if value != layout._field_defaults.get(name, ...)}
    return "".join(f"        {name}={value!r},\n" for name, value in changed.items()).replace("'", '"')
