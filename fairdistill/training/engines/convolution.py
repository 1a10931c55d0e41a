"""Convolutions of the last, tiny feature maps, written as what they are there: one matrix product.

Where a map is no larger than the kernel's margins, each output pixel sees the whole map. On a 1x1 map a padded 3x3
kernel multiplies zeros with eight of its nine taps, on a 2x2 map with five; CPU kernels do that work, and their
weight gradient is slower still there. The product below leaves it out: the same sum, in another order.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear


class _DenseWeight(torch.autograd.Function):
    """A kernel (O, I, k, k) as the matrix that maps a whole (H, W, I) map to the whole (h, w, O) one."""

    @staticmethod
    def forward(ctx, weight: Tensor, windows: list[tuple[slice, slice]], dtype: torch.dtype) -> Tensor:
        ctx.windows, ctx.kernel, ctx.dtype = windows, weight.shape, weight.dtype
        weight = weight.to(dtype)
        return torch.cat([weight[:, :, y, x].permute(0, 2, 3, 1).flatten(1) for y, x in windows])

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        out, into, height, width = ctx.kernel
        kernel = gradient.new_zeros(out, height, width, into, dtype=ctx.dtype).permute(0, 3, 1, 2)
        for part, (y, x) in zip(gradient.split(out), ctx.windows, strict=True):
            taps = kernel[:, :, y, x]
            taps += part.view(out, *taps.permute(0, 2, 3, 1).shape[1:]).permute(0, 3, 1, 2)
        return kernel, None, None


class SmallMapConv2d(nn.Conv2d):
    """`nn.Conv2d`, dense or depthwise, that is a matrix product where each output pixel sees the whole map.

    It has no bias and no dilation, and pads with zeros. Elsewhere it is what it was.
    """

    # not the name of a padding, which `nn.Conv2d` takes too
    padding: tuple[int, ...]

    def forward(self, images: Tensor) -> Tensor:
        windows = self._windows(*images.shape[2:])
        if windows is None:
            return super().forward(images)
        rows, columns = windows
        taps = [(y, x) for y in rows for x in columns]
        # cast by autocast itself, the dense matrix would be cast, not the smaller kernel
        device = images.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else self.weight.dtype
        weight = _DenseWeight.apply(self.weight, taps, dtype)
        pixels = images.permute(0, 2, 3, 1)
        if self.groups == 1:
            out = linear(pixels.flatten(1), weight)
        else:
            weight = weight.view(len(taps), self.out_channels, -1).transpose(1, 2)
            out = (pixels.flatten(1, 2)[:, None] * weight).sum(2)
        return out.view(len(images), len(rows), len(columns), self.out_channels).permute(0, 3, 1, 2)

    def _windows(self, *size: int) -> list[list[slice]] | None:
        """For height and width: the taps that meet the map, one slice per output; None if one misses a pixel."""
        axes = []
        for n, kernel, stride, padding in zip(size, self.kernel_size, self.stride, self.padding, strict=True):
            outputs = (n + 2 * padding - kernel) // stride + 1
            starts = [padding - stride * output for output in range(outputs)]
            if not starts or min(starts) < 0 or max(starts) + n > kernel:
                return None
            axes.append([slice(start, start + n) for start in starts])
        return axes


def use_small_map_convolutions(model: nn.Module) -> None:
    """Turn the convolutions of `model` that may meet a tiny map into `SmallMapConv2d`, weights and all."""
    for module in model.modules():
        if type(module) is not nn.Conv2d or module.bias is not None:
            continue
        if module.dilation != (1, 1) or module.padding_mode != "zeros" or isinstance(module.padding, str):
            continue
        if module.groups == 1 or module.groups == module.in_channels == module.out_channels:
            module.__class__ = SmallMapConv2d
