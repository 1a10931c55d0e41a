"""What variational autoencoders of images share: Kingma and Welling, "Auto-Encoding Variational Bayes", ICLR 2014."""

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from fairdistill.runtime.errors import UserError
from fairdistill.settings.methods import Autoencoder as Settings
from fairdistill.settings.methods import decoder_steps

# Maps between the code and the image. These and the kernels are those of the decoder for images of
# 32 px in Reddy et al., "Benchmarking Bias Mitigation Algorithms in Representation Learning through Fairness Metrics",
# NeurIPS 2021 (ConvVAE in models/model_ffvae.py): 64, 64 and 32 maps of 4, 8 and 16 px. Other sizes have more or fewer
# of the first ones, so that the decoder stays a tenth of a ResNet-18's work. They write LeakyReLU(True), which is a
# slope of 1 and so no activation; here it is torch's default, a slope of 0.01.
WIDTH, LAST_WIDTH = 64, 32


def make_decoder(settings: Settings, n_inputs: int, image_size: int) -> nn.Sequential:
    """Return a network that maps codes (B, n_inputs) to the means of the pixels, (B, 3, image_size, image_size).

    A linear layer makes maps of 4 to 15 px, which transposed convolutions double up to the size of the image.

    Raises
    ------
    UserError
        No such map doubles to `image_size`. A configuration is checked for this when it is read, and a training that is
        started by hand here.
    """
    try:
        edge, doublings = decoder_steps(image_size)
    except UserError as error:
        raise UserError(f"method {settings.kind} {error}") from None
    widths = [WIDTH] * (doublings - 1) + [LAST_WIDTH]
    layers: list[nn.Module] = [nn.Linear(n_inputs, widths[0] * edge**2), nn.Unflatten(1, (widths[0], edge, edge))]
    for width, following in zip(widths, [*widths[1:], 3], strict=True):
        layers += [nn.LeakyReLU(), nn.ConvTranspose2d(width, following, kernel_size=4, stride=2, padding=1)]
    return nn.Sequential(*layers)


def gaussian(parameters: Tensor) -> Normal:
    """Return the Gaussians (B, D) whose means and log variances stand side by side in `parameters` (B, 2 D)."""
    mean, log_variance = parameters.chunk(2, dim=1)
    # checks of the values would wait for a GPU in each step
    return Normal(mean, (log_variance / 2).exp(), validate_args=False)


def kl_from(q: Normal, p: Normal) -> Tensor:
    """Return the mean over images of KL(q || p) in nats, a scalar, of diagonal Gaussians (B, D)."""
    return kl_divergence(q, p).sum(1).mean()


def kl_from_prior(q: Normal) -> Tensor:
    """Return the mean over images of KL(q || N(0, I)) in nats, a scalar, of diagonal Gaussians (B, D)."""
    prior = Normal(torch.zeros_like(q.loc), torch.ones_like(q.scale), validate_args=False)
    return kl_from(q, prior)


def reconstruction_loss(decoded: Tensor, images: Tensor, *, variance: float = 1.0) -> Tensor:
    """Return the mean over images of -log p(x | code), less a constant: a sum of squared errors over 2 `variance`.

    The pixels are independent Gaussians around what is decoded. Where images are normalised by the statistics of their
    own training split (`normalise: train`), 1 is the variance of a channel over that split, so that a decoder that
    knows nothing but the mean loses half a nat for each value at variance 1.

    Parameters
    ----------
    decoded, images
        (B, 3, H, W).
    variance
        Of each normalised value.

    Returns
    -------
    Tensor
        A scalar, zero where both are the same.
    """
    return (decoded - images).square().flatten(1).sum(1).mean() / (2 * variance)
