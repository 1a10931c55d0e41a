"""Convolutions on a CPU: each is computed in the way that was measured to be fastest for its shape and the processor.

What it computes is the same sum, in another order; `fairdistill.training.engines.ways` chooses the way.

On a 1x1 map a padded 3x3 kernel multiplies zeros with eight of its nine taps. A tap that meets only padding has no
effect and no gradient, so that in training it stays as it was drawn: `crop_kernels` leaves such taps out, of the
forward and the backward pass and of the optimiser, which otherwise reads and writes them at each step.
"""

from collections import defaultdict
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear, pad

from fairdistill.training.engines.safe_convolution import SafeConv2d
from fairdistill.training.engines.ways import WHOLE, Shape, Way, fastest_way, processor

PROCESSOR = processor()
# torch multiplies matrices in float32 by MKL, which on AMD's processors leaves AVX-512 unused; on Intel's the two were
# not compared
ONEDNN_PRODUCTS = torch.backends.cpu.get_cpu_capability() == "AVX512" and hasattr(torch.ops.mkldnn, "_linear_pointwise")


class _DenseWeight(torch.autograd.Function):
    """A kernel (O, I, k, k) as the matrix that maps a whole (H, W, I) map to the whole (h, w, O) one."""

    @staticmethod
    def forward(ctx, weight: Tensor, windows: list[tuple[slice, slice]], dtype: torch.dtype) -> Tensor:
        ctx.windows, ctx.kernel, ctx.dtype = windows, weight.shape, weight.dtype
        weight = weight.to(dtype)
        parts = [weight[:, :, y, x].permute(0, 2, 3, 1) for y, x in windows]
        rows = weight.new_empty(len(parts), *parts[0].shape)
        for place, part in zip(rows, parts, strict=True):
            place.copy_(part)
        return rows.view(len(parts) * len(weight), -1)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        out, into, height, width = ctx.kernel
        kernel = gradient.new_zeros(out, height, width, into, dtype=ctx.dtype).permute(0, 3, 1, 2)
        for part, (y, x) in zip(gradient.split(out), ctx.windows, strict=True):
            taps = kernel[:, :, y, x]
            taps += part.view(out, *taps.permute(0, 2, 3, 1).shape[1:]).permute(0, 3, 1, 2)
        return kernel, None, None


class _Convolution(torch.autograd.Function):
    """A convolution whose passes are each computed by an algorithm of their own, but for that of whole maps.

    The rows of the products are the pixels of the output, and their columns the taps that each sees.
    """

    @staticmethod
    def forward(ctx, images: Tensor, weight: Tensor, stride: int, padding: int, groups: int, way: Way) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.stride, ctx.padding, ctx.groups, ctx.way = stride, padding, groups, way
        if way.forward == "taps":
            taps = _taps(images, weight.shape[2], stride, padding)
            return linear(taps, weight.permute(0, 2, 3, 1).flatten(1)).permute(0, 3, 1, 2)
        return conv2d(images, weight, None, stride, padding, groups=groups)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        images, weight = ctx.saved_tensors
        stride, padding, kernel = ctx.stride, ctx.padding, weight.shape[2]
        of_each = zip(ctx.way[1:], ctx.needs_input_grad[:2], strict=True)
        wanted = [algorithm if needed else None for algorithm, needed in of_each]
        pixels = gradient.permute(0, 2, 3, 1)
        found: list[Tensor | None] = [None, None]
        for algorithm in {"onednn", "float32"}.intersection(wanted):
            parts = [gradient, images, weight]
            if algorithm == "float32":
                parts = [part.float() for part in parts]
            mask = [each == algorithm for each in wanted]
            for place, part in enumerate(_backward(parts, stride, padding, groups=ctx.groups, mask=mask)):
                if part is not None:
                    found[place] = part.to(gradient.dtype)
        if wanted[0] == "taps":
            taps = (pixels @ weight.permute(0, 2, 3, 1).flatten(1)).unflatten(3, (kernel, kernel, -1))
            found[0] = _add_taps(taps, images.shape, stride, padding)
        if wanted[1] == "taps":
            product = pixels.flatten(0, 2).T @ _taps(images, kernel, stride, padding).flatten(0, 2)
            found[1] = product.unflatten(1, (kernel, kernel, -1)).permute(0, 3, 1, 2)
        return *found, None, None, None, None


def _backward(
    parts: list[Tensor], stride: int, padding: int, *, groups: int, mask: list[bool]
) -> tuple[Tensor | None, ...]:
    """The gradients of images and weight, of those that the mask asks for, by oneDNN.

    The parts are the gradient of the output, the images and the weight.
    """
    edges = [stride] * 2, [padding] * 2, [1, 1], False, [0, 0]
    return torch.ops.aten.convolution_backward(*parts, None, *edges, groups, [*mask, False])[:2]


def _taps(images: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
    """What each output pixel sees of the images (B, C, H, W), as (B, h, w, kernel * kernel * C)."""
    if kernel == 1 and padding == 0:
        return images.permute(0, 2, 3, 1)[:, ::stride, ::stride]
    pixels = pad(images.permute(0, 2, 3, 1), (0, 0, padding, padding, padding, padding))
    height, width = ((size - kernel) // stride * stride + 1 for size in pixels.shape[1:3])
    places = [(y, x) for y in range(kernel) for x in range(kernel)]
    return torch.cat([pixels[:, y : y + height : stride, x : x + width : stride] for y, x in places], dim=3)


def _add_taps(taps: Tensor, shape: torch.Size, stride: int, padding: int) -> Tensor:
    """Images (B, C, H, W) whose pixels are the sums of the taps (B, h, w, kernel, kernel, C) that see them."""
    batch, channels, height, width = shape
    kernel = taps.shape[3]
    # sums are in float32, as oneDNN has them too
    dtype = torch.promote_types(taps.dtype, torch.float32) if kernel > stride else taps.dtype
    pixels = torch.zeros(batch, height + 2 * padding, width + 2 * padding, channels, dtype=dtype)
    down, right = ((n - 1) * stride + 1 for n in taps.shape[1:3])
    for y in range(kernel):
        for x in range(kernel):
            pixels[:, y : y + down : stride, x : x + right : stride] += taps[:, :, :, y, x]
    pixels = pixels[:, padding : padding + height, padding : padding + width]
    return pixels.to(taps.dtype).permute(0, 3, 1, 2)


@cache
def _windows_of(size: int, kernel: int, stride: int, padding: int) -> tuple[slice, ...]:
    """Of a map's edge: the taps that meet the map, one slice per output; none at all if one misses a pixel."""
    outputs = (size + 2 * padding - kernel) // stride + 1
    starts = [padding - stride * output for output in range(outputs)]
    if not starts or min(starts) < 0 or max(starts) + size > kernel:
        return ()
    return tuple(slice(start, start + size) for start in starts)


def _product(rows: Tensor, matrix: Tensor) -> Tensor:
    """The product of rows (N, I) and a matrix (O, I): (N, O)."""
    in_float32 = rows.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    if in_float32 and not torch.is_grad_enabled() and ONEDNN_PRODUCTS:
        return torch.ops.mkldnn._linear_pointwise(rows, matrix.to_mkldnn(), None, "none", [], "")
    return linear(rows, matrix)


class FastConv2d(SafeConv2d):
    """`nn.Conv2d`, computed as this module says; without bias or dilation, padded with zeros.

    One of groups that are neither all channels nor one each is computed by oneDNN, and cropped.
    """

    # not the name of a padding, which `nn.Conv2d` takes too
    padding: tuple[int, ...]

    def forward(self, images: Tensor) -> Tensor:
        in_bf16 = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
        way = self._way(*images.shape[2:], in_bf16=in_bf16)
        if way == WHOLE:
            return self._whole_map(images)
        if way == Way():
            return super().forward(images)
        stride, padding = self.stride[0], self.padding[0]
        if set(way) == {"taps"} and self.kernel_size == self.stride == (1, 1) and not padding:
            return linear(images.permute(0, 2, 3, 1), self.weight.flatten(1)).permute(0, 3, 1, 2)
        if not torch.is_grad_enabled():
            # the times are of training: in the larger batches of inference, products took twice as long as torch's own
            # convolutions, and 80 to 300 MB more
            return super().forward(images)
        weight = self.weight
        if in_bf16:
            images, weight = images.bfloat16(), weight.bfloat16()
        return _Convolution.apply(images, weight, stride, padding, self.groups, way)

    def _way(self, *size: int, in_bf16: bool) -> Way:
        """The fastest way for maps of a size (height, width), of those that can compute them."""
        if self.groups > 1 and not self.groups == self.in_channels == self.out_channels:
            return Way()
        whole = WHOLE if self._windows(*size) else Way()
        if whole == WHOLE and self.weight.shape[2:] == size:
            # a product as it is
            return WHOLE
        measured = self._measured_way(*size, in_bf16=in_bf16)
        return whole if measured in (WHOLE, None) else measured

    def _measured_way(self, *size: int, in_bf16: bool) -> Way | None:
        """The fastest way in the table of the processor; None where nothing like it was measured."""
        edges = zip(size, self.kernel_size, self.stride, self.padding, strict=True)
        (edge, kernel, stride, padding), *other = edges
        if other != [(edge, kernel, stride, padding)]:
            return None
        out = (edge + 2 * padding - kernel) // stride + 1
        if out < 1:
            # an error, which torch explains
            return None
        shape = Shape(self.groups > 1, kernel, stride, out, self.in_channels, self.out_channels)
        return fastest_way(shape, "bf16" if in_bf16 else "fp32", PROCESSOR)

    def _whole_map(self, images: Tensor) -> Tensor:
        """A convolution in which each output pixel sees the whole map."""
        rows, columns = self._windows(*images.shape[2:])
        taps = [(y, x) for y in rows for x in columns]
        # cast by autocast itself, the dense matrix would be cast, not the smaller kernel
        device = images.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else self.weight.dtype
        pixels = images.permute(0, 2, 3, 1).to(dtype)
        if len(taps) == 1 and self.groups == 1 and self.weight.shape[2:] == images.shape[2:]:
            # the kernel is that matrix already
            weight = self.weight.permute(0, 2, 3, 1).flatten(1).to(dtype)
        else:
            weight = _DenseWeight.apply(self.weight, taps, dtype)
        if self.groups == 1:
            out = _product(pixels.flatten(1), weight)
        else:
            weight = weight.view(len(taps), self.out_channels, -1).transpose(1, 2)
            out = (pixels.flatten(1, 2)[:, None] * weight).sum(2)
        return out.view(len(images), len(rows), len(columns), self.out_channels).permute(0, 3, 1, 2)

    def _windows(self, *size: int) -> tuple[tuple[slice, ...], ...]:
        """For height and width: the taps that meet the map, one slice per output; empty if one misses a pixel."""
        edges = zip(size, self.kernel_size, self.stride, self.padding, strict=True)
        axes = tuple(_windows_of(*edge) for edge in edges)
        return axes if all(axes) else ()


class CroppedConv2d(FastConv2d):
    """A convolution whose weight is the part of its kernel that meets the maps; its state is the whole kernel.

    Attributes
    ----------
    whole
        The kernel as it was.
    box
        Where in it the weight is.
    """

    whole: Tensor
    box: tuple[slice, slice, slice, slice]

    def _save_to_state_dict(self, destination: dict, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        whole = self.whole.clone()
        whole[self.box] = self.weight.detach()
        destination[f"{prefix}weight"] = whole

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args) -> None:
        name = f"{prefix}weight"
        if name in state_dict:
            self.whole.copy_(state_dict[name])
            state_dict = state_dict | {name: state_dict[name][self.box]}
        super()._load_from_state_dict(state_dict, prefix, *args)


def use_fast_convolutions(model: nn.Module) -> None:
    """Turn the convolutions of `model` into `FastConv2d`, weights and all, but for those that it does not do."""
    for module in model.modules():
        if type(module) is not nn.Conv2d or module.bias is not None:
            continue
        if module.dilation != (1, 1) or module.padding_mode != "zeros" or isinstance(module.padding, str):
            continue
        module.__class__ = FastConv2d


@torch.no_grad()
def crop_kernels(model: nn.Module, images: Tensor) -> None:
    """Turn those convolutions of `model` into `CroppedConv2d` that have taps that meet only padding, in place.

    Parameters
    ----------
    images
        (B, 3, H, W), of the size of all images that the model will be given.
    """
    sizes: dict[FastConv2d, set[torch.Size]] = defaultdict(set)
    convolutions = [module for module in model.modules() if type(module) is FastConv2d]
    hooks = [m.register_forward_pre_hook(lambda m, inputs: sizes[m].add(inputs[0].shape[2:])) for m in convolutions]
    was_training = model.training
    model.eval()(images)
    model.train(was_training)
    for hook in hooks:
        hook.remove()
    for module, found in sizes.items():
        if len(found) == 1:
            _crop(module, *found)


def _crop(module: FastConv2d, size: torch.Size) -> None:
    """Leave out the taps of a convolution that meet only padding on maps of a size (height, width)."""
    starts, ends, paddings = [], [], []
    for n, kernel, stride, padding in zip(size, module.kernel_size, module.stride, module.padding, strict=True):
        outputs = (n + 2 * padding - kernel) // stride + 1
        # of the taps, that which meets the first pixel of the map, for each output
        firsts = [padding - stride * output for output in range(outputs)]
        start, end = max(0, min(firsts)), min(kernel, max(firsts) + n)
        if end <= start:
            # no output sees the map
            return
        starts.append(start)
        ends.append(end)
        paddings.append(padding - start)
        if (n + 2 * paddings[-1] - (end - start)) // stride + 1 != outputs:
            return
    if tuple(e - s for s, e in zip(starts, ends, strict=True)) == module.kernel_size:
        return
    box = slice(None), slice(None), *map(slice, starts, ends)
    whole = module.weight.detach().clone()
    weight = nn.Parameter(whole[box].clone(), requires_grad=module.weight.requires_grad)
    module.__class__ = CroppedConv2d
    module.whole, module.box, module.weight = whole, box, weight  # type: ignore[assignment]
    module.kernel_size, module.padding = tuple(weight.shape[2:]), tuple(paddings)
