"""How far two sets of features are apart, and losses that bring them together."""

import torch
from torch import Tensor, nn

_SMALL = 1e-5


def coral(first: Tensor, second: Tensor) -> Tensor:
    """Return how much mean and correlations of two sets of features (N, D), (M, D) differ; 0 for equal ones.

    The loss of Deep CORAL (Sun & Saenko, ECCV 2016 workshops, arXiv:1607.01719), with the distance of the
    means beside that of the covariances, both in units of the first set's standard deviations so that the
    scale of a feature does not matter.
    """
    spread = first.detach().std(dim=0) + _SMALL
    mean_first, mean_second = first.mean(dim=0), second.mean(dim=0)
    means = ((mean_first - mean_second) / spread).pow(2).mean()
    covariances = (_covariance(first, spread) - _covariance(second, spread)).pow(2).mean()
    return means + covariances


def frechet_distance(first: Tensor, second: Tensor) -> float:
    """Return the Fréchet distance of two sets of features (N, D), (M, D), as if both were Gaussian.

    Dowson & Landau (J. Multivariate Anal. 12 (1982) 450), over the total variance of the first set: 0 for
    equal sets, about 1 when they lie as far apart as the first one is wide.
    """
    one, other = first.double(), second.double()
    covariance, second_covariance = _covariance(one), _covariance(other)
    root = _root(covariance)
    cross = torch.linalg.eigvalsh(root @ second_covariance @ root).clamp(min=0).sqrt().sum()
    distance = (one.mean(dim=0) - other.mean(dim=0)).pow(2).sum()
    distance = distance + covariance.trace() + second_covariance.trace() - 2 * cross
    return float(distance.clamp(min=0) / covariance.trace().clamp(min=1e-12))


class DomainClassifier(nn.Module):
    """Tells features of one set from those of another; trained against the network that makes them.

    Ganin et al., J. Mach. Learn. Res. 17 (2016) 59: the gradient is reversed on its way back to the
    features, so that the network learns features whose origin cannot be told.
    """

    def __init__(self, width: int, hidden: int = 128) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def loss(self, first: Tensor, second: Tensor, strength: float) -> Tensor:
        """Return the cross-entropy of telling them apart; features feel ``-strength`` times its gradient."""
        # In units of the first set's spread: each feature counts, whatever its scale.
        middle, spread = first.detach().mean(dim=0), first.detach().std(dim=0) + _SMALL
        features = reverse_gradient((torch.cat([first, second]) - middle) / spread, strength)
        origin = torch.cat([torch.zeros(len(first)), torch.ones(len(second))]).to(features)
        return nn.functional.binary_cross_entropy_with_logits(self.layers(features)[:, 0], origin)


def reverse_gradient(value: Tensor, strength: float) -> Tensor:
    """Return the value unchanged; on the way back its gradient is multiplied by ``-strength``."""
    return _Reversal.apply(value, strength)


def mean_entropy(outputs: dict[str, Tensor]) -> Tensor:
    """Return the mean entropy of decisions as a part of the largest possible, 0 (sure) to 1 (no idea).

    Of the classes of ``minerals``, else of each yes or no of ``presence``.
    """
    if "minerals" in outputs:
        logits = outputs["minerals"]
        log_probability = torch.log_softmax(logits, dim=1)
        entropy = -(log_probability.exp() * log_probability).sum(dim=1)
        return entropy.mean() / torch.log(torch.tensor(float(logits.shape[1])))
    logits = outputs["presence"]
    entropy = nn.functional.softplus(logits) - logits * torch.sigmoid(logits)
    return entropy.mean() / torch.log(torch.tensor(2.0))


def disagreement(outputs: dict[str, Tensor], wanted: dict[str, Tensor]) -> Tensor:
    """Return the mean divergence (Kullback-Leibler) of predictions from others, which get no gradient."""
    if "minerals" in outputs:
        goal = torch.log_softmax(wanted["minerals"].detach(), dim=1)
        given = torch.log_softmax(outputs["minerals"], dim=1)
        return (goal.exp() * (goal - given)).sum(dim=1).mean()
    goal = wanted["presence"].detach()
    probability = torch.sigmoid(goal)
    cross = nn.functional.binary_cross_entropy_with_logits(outputs["presence"], probability)
    own = nn.functional.binary_cross_entropy_with_logits(goal, probability)
    return cross - own


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(context, value, strength):  # type: ignore[no-untyped-def]  # torch's own signature
        context.strength = strength
        return value.view_as(value)

    @staticmethod
    def backward(context, gradient):  # type: ignore[no-untyped-def]
        return -context.strength * gradient, None


def _covariance(features: Tensor, spread: Tensor | None = None) -> Tensor:
    centred = features - features.mean(dim=0)
    if spread is not None:
        centred = centred / spread
    return centred.T @ centred / max(len(features) - 1, 1)


def _root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ torch.diag(values.clamp(min=0).sqrt()) @ vectors.T
