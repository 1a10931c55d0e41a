"""The flexibly fair VAE.

Creager, Madras, Jacobsen, Weis, Swersky, Pitassi, Zemel, "Flexibly Fair Representation Learning by Disentanglement",
ICML 2019.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.distributions import Normal
from torch.func import functional_call
from torch.nn.functional import cross_entropy, pad, softplus

from fairdistill.methods.base import Batch, MakeOptimizer, Method, Stage, Step, Task
from fairdistill.methods.vae import gaussian, kl_from_prior, make_decoder, reconstruction_loss
from fairdistill.networks import Classifier, Output, freeze
from fairdistill.settings.methods import Ffvae as Settings

REPRESENTATION, CLASSIFIER = "representation", "classifier"
# units of each of the two hidden layers of the discriminator and of the classifier
HIDDEN = 256
# Of each normalised value around what is decoded. It is 1 for pixels between 0 and 1, as in the code from whose grid
# the weights of the penalties come, where images are normalised by standard deviations of 1/4: those of CIFAR-10's
# channels are 0.24 to 0.26, those of Digits-S 0.17 to 0.23.
VARIANCE = 16.0


def shuffled(z: Tensor, b: Tensor) -> Tensor:
    """Return samples (B, D + E) of q(z) q(b): each z (B, D) with the b (B, E) of another image of the batch.

    FactorVAE permutes the batch at random (Kim and Mnih, "Disentangling by Factorising", ICML 2018, algorithm 1). As
    batches are in random order, the image half a batch away does as well; it is also beyond the few images among which
    a balanced sampling has one of each cell.
    """
    return torch.cat([z, b.roll(len(b) // 2, dims=0)], dim=1)


def discriminator_loss(joint: Tensor, product: Tensor) -> Tensor:
    """Return the cross-entropy of telling samples of q(z, b) from those of q(z) q(b).

    Parameters
    ----------
    joint, product
        (B, 1), the discriminator's logits of both: of being of q(z, b).

    Returns
    -------
    Tensor
        A scalar, log 2 where the discriminator knows nothing.
    """
    return (softplus(-joint).mean() + softplus(product).mean()) / 2


def _two_hidden_layers(n_inputs: int, n_outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(n_inputs, HIDDEN),
        nn.LeakyReLU(),
        nn.Linear(HIDDEN, HIDDEN),
        nn.LeakyReLU(),
        nn.Linear(HIDDEN, n_outputs),
    )


class FFVAE(Method):
    """First a code [z, b] of the image, where b is to tell the group and z not; then a classifier on z alone.

    The representation stage trains the encoder and a decoder by

        - log p(x | z, b) + KL(q(z | x) || p(z)) - alpha log p(a | b) + gamma KL(q(z, b) || q(z) q(b)),

    the mean over images, with one sample of z. b is a function of the image, without noise. The last term is estimated
    by a discriminator, which is trained beside them to tell codes of images from codes whose b is another image's. The
    network is the encoder: its outputs are the mean and the log variance of q(z | x), and b. In the classifier stage it
    is frozen, in evaluation mode, and a classifier is trained on the mean of z by the cross-entropy with the labels.
    Until then the accuracies in the history are those of an untrained classifier. The total correlation is of samples
    of z; its mean, which the classifier reads, can tell more of the group than a sample does.

    As printed are the objective, but that its divergence from the prior is there of both z and b; p(a | b) for two
    groups; and the classifier on the code without the sensitive dimensions, which the paper also replaces by noise. The
    paper has any number of binary attributes, each with a dimension b_j and p(a_j | b_j) = Bernoulli(sigmoid(b_j)).
    Here is one attribute, the group: for G groups b has G - 1 dimensions, and p(a | b) = softmax([0, b]), which for two
    groups is the same.

    The first author has published an example (gist.github.com/ecreager/e152782ba8c459009ddcae680b4c7684), which was not
    to be had when this was written. Reddy et al. (NeurIPS 2021, models/model_ffvae.py in
    github.com/charan223/FairDeepLearning), whom the first author helped, try alpha in 10, 100, 1000 and gamma in 10,
    50, 100 on images of 32 px; the defaults are the middle ones. These weights stand beside a Gaussian p(x | z, b) of
    variance 1 for pixels between 0 and 1, and so do ours: see `VARIANCE`, which is for normalised images. b without
    noise is theirs as well. Of the decoder, the kernels and numbers of maps of its transposed convolutions are taken
    from theirs, for images of 32 px; the one linear layer before them, the number of convolutions for other sizes, and
    that what is decoded has no bounds, since images are normalised, are ours. They have two hidden layers of 32 units
    in the discriminator and the classifier, for two classes, and clip gradients; their network is linear up to the last
    sigmoid (`LeakyReLU(True)` has slope 1), and of its 16 outputs seven are z and one is b. The other eight reach
    neither the decoder nor the penalties, but their classifier reads them. Ours are the 256 units, no clipping, the 50
    dimensions, which are those of the VFAE, the convolutional network as the encoder, and the share of the epochs that
    the representation has. The discriminator makes one step for each of the autoencoder's, as in FactorVAE.

    The discriminator needs many steps: FactorVAE trains 300,000 on 2D shapes, at a learning rate of 1e-4 for both. In
    the 208 of a training on Digits-S it does not keep up with the code, and the penalty does not do its work there;
    docs/methods.md has what was measured. Where group and label go together in training, as there, the total
    correlation also counts what z tells of the label, so that the objective itself asks for a code that tells labels
    less well.
    """

    fixed_step = True

    def __init__(self, settings: Settings, task: Task):
        super().__init__(settings, task)
        size = settings.latent_size
        code = size + task.n_groups - 1
        self.decoder = make_decoder(settings, code, task.image_size)
        self.discriminator = _two_hidden_layers(code, 1)
        self.classifier = _two_hidden_layers(size, task.n_classes)

    @staticmethod
    def n_outputs(settings: Settings, n_classes: int, n_groups: int) -> int:
        """Return one for each mean and each log variance of z, and for each dimension of b."""
        return 2 * settings.latent_size + n_groups - 1

    def stages(self, epochs: int) -> list[Stage]:
        """Return the representation and the classifier, which has an epoch at least."""
        of_representation = self.settings.representation_epochs(epochs)
        return [Stage(REPRESENTATION, of_representation), Stage(CLASSIFIER, epochs - of_representation)]

    def optimizers(self, stage: str, network: Classifier, make: MakeOptimizer) -> dict[str, torch.optim.Optimizer]:
        """Make one for the autoencoder and one for the discriminator; in the other stage the classifier's alone."""
        if stage == CLASSIFIER:
            freeze(network)
            return {"classifier": make([*self.classifier.parameters()])}
        return {
            "autoencoder": make([*network.parameters(), *self.decoder.parameters()]),
            "discriminator": make([*self.discriminator.parameters()]),
        }

    def update(
        self, network: Classifier, batch: Batch, optimizers: dict[str, torch.optim.Optimizer], stage: str
    ) -> Step:
        """Make one step, in the classifier stage with the network in evaluation mode."""
        network.train(stage == REPRESENTATION)
        return super().update(network, batch, optimizers, stage)

    def encode(self, output: Output) -> tuple[Normal, Tensor]:
        """Return q(z | x) of images, whose means are (B, latent_size), and b (B, groups - 1)."""
        size = 2 * self.settings.latent_size
        return gaussian(output.logits[:, :size]), output.logits[:, size:]

    def loss(self, batch: Batch, output: Output, stage: str) -> dict[str, Tensor]:
        """Return the terms of the objective, weighted, and the loss of the discriminator; or the cross-entropy.

        No gradient of the total correlation reaches the discriminator, and none of its loss the autoencoder.
        """
        q, b = self.encode(output)
        if stage == CLASSIFIER:
            return {"cross_entropy": cross_entropy(self.classifier(q.mean), batch.label)}
        z = q.rsample()
        code = torch.cat([z, b], dim=1)
        fixed = {name: weight.detach() for name, weight in self.discriminator.named_parameters()}
        joint, product = self.discriminator(code.detach()), self.discriminator(shuffled(z, b).detach())
        return {
            "reconstruction": reconstruction_loss(self.decoder(code), batch.images, variance=VARIANCE),
            "kl": kl_from_prior(q),
            # softmax([0, b])
            "group_prediction": self.settings.alpha * cross_entropy(pad(b, (1, 0)), batch.group),
            "total_correlation": self.settings.gamma * functional_call(self.discriminator, fixed, code).mean(),
            "discriminator": discriminator_loss(joint, product),
        }

    def predict(self, output: Output, group: Tensor) -> Tensor:
        """Return what the classifier says of the mean of z."""
        return self.classifier(self.encode(output)[0].mean).softmax(1)

    @staticmethod
    def representation(settings: Settings, output: Output, group: Tensor, state: Mapping[str, Tensor]) -> Tensor:
        """Return the mean of z (B, latent_size)."""
        return output.logits[:, : settings.latent_size]

    def prediction_state(self) -> dict[str, Tensor]:
        """Return the classifier, three linear layers with leaky ReLUs between them."""
        return {f"classifier.{name}": tensor for name, tensor in self.classifier.state_dict().items()}
