"""A classifier of minerals that sees the features of an unsupervised network, and nothing else."""

from typing import Annotated

import torch
from torch import Tensor, nn

from napari_xrf.core.parameters import Choices, Limits, parameters
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.networks import pca, vae
from napari_xrf.learning.networks.convolutions import MineralHead, MineralNetwork


@parameters
class Options:
    """Hyper-parameters.

    Attributes
    ----------
    encoder
        What makes the features; a training begins from the weights of one (``--start pca``).
    size
        Features: components or latent numbers of that.
    hidden
        Units between features and classes.
    dropout
        Part of the features left out in training.
    activation
        Of the hidden layer.
    """

    encoder: Annotated[str, Choices(("pca", "vae"))] = "pca"
    size: Annotated[int, Limits(1, 1024)] = 64
    hidden: Annotated[int, Limits(8, 2048)] = 256
    dropout: Annotated[float, Limits(0, 0.9)] = 0.0
    activation: Annotated[str, Choices(("relu", "gelu", "silu"))] = "relu"


class MineralFeatures(MineralNetwork):
    """Features of a network whose weights stay as they are, and a layer between them and the classes."""

    def __init__(self, options: Options, description: ModelDescription) -> None:
        super().__init__()
        self.encoder: pca.Pca | vae.Vae
        if options.encoder == "pca":
            self.encoder = pca.Pca(pca.Options(components=options.size), description)
        else:
            self.encoder = vae.Vae(vae.Options(latent=options.size), description)
            self.encoder.decoder = nn.Sequential()  # its half of the weights is not needed
        self.encoder.requires_grad_(False)
        self.norm = nn.BatchNorm1d(options.size)
        self.head = MineralHead(options.size, len(description.names), options)

    def features(self, spectra: Tensor, dose: Tensor) -> Tensor:
        """Return the hidden layer before the classes, (N, hidden)."""
        with torch.no_grad():
            found = self.encoder.features(spectra, dose)
        return self.head.features(self.norm(found), dose)
