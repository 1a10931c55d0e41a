"""What variational autoencoders share, compared with scipy in float64, and the sizes of images that a decoder makes."""

import numpy as np
import pytest
import torch
from method_trainings import method_settings
from scipy.integrate import quad
from scipy.stats import norm

from fairdistill.methods.vae import gaussian, kl_from, kl_from_prior, make_decoder, reconstruction_loss
from fairdistill.runtime.errors import UserError
from fairdistill.settings.configuration import complete

SETTINGS = method_settings(kind="vfae")


def parameters(seed, n=5, size=3):
    """Means and log variances (n, 2 size), side by side."""
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, 2 * size)))


def kl_by_integrals(q, p):
    """The mean over rows of the sum over dimensions of the integral of q log q / p."""
    size = q.shape[1] // 2

    def of_dimension(row, d):
        of_q, of_p = (norm(x[row, d], np.exp(x[row, size + d] / 2)) for x in (q, p))
        return quad(lambda z: of_q.pdf(z) * (of_q.logpdf(z) - of_p.logpdf(z)), *of_q.interval(1 - 1e-12))[0]

    return np.mean([sum(of_dimension(row, d) for d in range(size)) for row in range(len(q))])


@pytest.mark.parametrize("seed", [0, 1])
def test_the_divergence_is_the_integral_of_its_definition(seed):
    q, p = parameters(seed, n=2), parameters(seed + 1, n=2)
    assert kl_from(gaussian(q), gaussian(p)).item() == pytest.approx(kl_by_integrals(q.numpy(), p.numpy()), rel=1e-6)
    prior = kl_by_integrals(q.numpy(), np.zeros((2, 6)))
    assert kl_from_prior(gaussian(q)).item() == pytest.approx(prior, rel=1e-6)


def test_the_divergence_of_a_distribution_from_itself_is_zero():
    q = parameters(0)
    assert kl_from(gaussian(q), gaussian(q.clone())).item() == pytest.approx(0, abs=1e-15)
    assert kl_from_prior(gaussian(torch.zeros(4, 6))).item() == 0


def test_samples_have_the_mean_and_the_variance_that_the_parameters_say():
    q = gaussian(torch.tensor([[1.0, -2.0, np.log(4.0), np.log(0.25)]]).double())
    torch.manual_seed(0)
    samples = q.rsample((20_000,))[:, 0].numpy()
    assert np.allclose(samples.mean(0), [1, -2], atol=0.06)
    assert np.allclose(samples.var(0), [4, 0.25], rtol=0.05)


def test_the_loss_of_the_images_is_the_likelihood_of_gaussians_less_a_constant():
    rng = np.random.default_rng(0)
    decoded, images = rng.normal(size=(2, 6, 3, 4, 4))
    for variance in (1.0, 16.0):
        nats = -norm(decoded, variance**0.5).logpdf(images).sum((1, 2, 3)).mean()
        found = reconstruction_loss(*map(torch.from_numpy, (decoded, images)), variance=variance).item()
        assert found == pytest.approx(nats - 48 * np.log(2 * np.pi * variance) / 2)
    assert reconstruction_loss(*[torch.from_numpy(images)] * 2).item() == 0


def test_gradients():
    q, p = (parameters(seed).requires_grad_() for seed in (0, 1))
    assert torch.autograd.gradcheck(lambda a, b: kl_from(gaussian(a), gaussian(b)), (q, p))
    assert torch.autograd.gradcheck(lambda a: kl_from_prior(gaussian(a)), q)
    images = torch.randn(2, 3, 2, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: reconstruction_loss(x, images), torch.randn_like(images).requires_grad_())


@pytest.mark.parametrize("size", [8, 24, 30, 32, 48, 64, 176, 224, 256])
def test_a_decoder_makes_images_of_the_size_of_the_data_set(size):
    decoder = make_decoder(SETTINGS, 7, size)
    assert decoder(torch.randn(2, 7)).shape == (2, 3, size, size)
    SETTINGS.check_image_size(size)


@pytest.mark.parametrize(("size", "sizes"), [(9, "8 or 10"), (50, "48 or 52"), (62, "60 or 64")])
def test_a_size_that_no_decoder_makes_is_refused_with_the_nearest_that_one_makes(size, sizes):
    words = f"doubles maps of 4 to 15 px once or more to decode an image, which never makes {size} px, "
    words += f"the edge of the data set's images; change that to {sizes} px, by image_size"
    with pytest.raises(UserError, match=f"^method vfae {words}"):
        make_decoder(SETTINGS, 7, size)
    given = {"datasets": ["d"], "data": {"sets": {"d": {"kind": "digits_s", "image_size": size}}}}
    given |= {"methods": ["v"], "students": {"v": {"kind": "ffvae"}}}
    with pytest.raises(UserError, match=rf"^config: students\.v {words}.* \(data\.sets\.d\)$"):
        complete(given)


@pytest.mark.parametrize("kind", ["vfae", "ffvae"])
def test_no_model_can_stand_on_a_network_that_encodes(kind):
    students = {"code": {"kind": kind}, "kd": {"kind": "kd", "base": "code"}}
    words = "students.kd.base names 'code', which has a code as its outputs; no other model can stand on it"
    with pytest.raises(UserError, match=words):
        complete({"methods": ["kd"], "students": students})
