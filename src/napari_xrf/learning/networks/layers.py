"""Parts that several networks are made of."""

import torch
from torch import Tensor, nn

from napari_xrf.core.errors import InvalidInput, check_name

_MOST_GAIN = 0.05
_MOST_OFFSET = 3.0  # channels
_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU}


def activation(name: str) -> nn.Module:
    """Return an activation by name.

    Raises InvalidInput when there is none of that name.
    """
    check_name("activation", name, _ACTIVATIONS)
    return _ACTIVATIONS[name]()


def hidden_layers(
    inputs: int, width: int, depth: int, *, activation_name: str, dropout: float, residual: bool
) -> nn.Sequential:
    """Return ``depth`` hidden layers of a perceptron, from (N, inputs) to (N, width)."""

    def layer(before: int) -> nn.Module:
        parts = [nn.Linear(before, width), activation(activation_name)]
        return nn.Sequential(*parts, *([nn.Dropout(dropout)] if dropout else []))

    later = [layer(width) for _ in range(depth - 1)]
    return nn.Sequential(layer(inputs), *(ResidualBlock(width, each) if residual else each for each in later))


class ResidualBlock(nn.Module):
    """Adds what a layer makes of the normalised input to the input (He et al., arXiv:1603.05027)."""

    def __init__(self, width: int, layer: nn.Module) -> None:
        super().__init__()
        self.norm, self.layer = nn.LayerNorm(width), layer

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the sum, (N, width)."""
        return hidden + self.layer(self.norm(hidden))


class Patches(nn.Module):
    """Cuts spectra (N, E) into patches and embeds each as a token, (N, P, D), with weights of its own place.

    An energy axis has no translations: a peak means something else in each patch. Where all patches share
    their weights and a position is only added, what is found and where are mixed apart in the first mean
    over tokens, and training idles for long. The last patch is filled up with zeros.
    """

    def __init__(self, channels: int, patch: int, width: int) -> None:
        super().__init__()
        self.patch = patch
        self.number = -(-channels // patch)
        self.missing = self.number * patch - channels
        self.weight = nn.Parameter(torch.randn(self.number, patch, width) / patch**0.5)
        self.position = nn.Parameter(0.5 * torch.randn(self.number, width))

    def forward(self, spectra: Tensor) -> Tensor:
        """Return the tokens."""
        filled = nn.functional.pad(spectra, (0, self.missing))
        cut = filled.unflatten(1, (self.number, self.patch))
        tokens: Tensor = torch.einsum("npc,pcd->npd", cut, self.weight)
        return tokens + self.position


class AttentionBlock(nn.Module):
    """A transformer's block, normalised first: queries (N, Q, D) attend to a context (N, C, D).

    Vaswani et al., arXiv:1706.03762; the order of normalisation of Xiong et al., arXiv:2002.04745.
    """

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        if width % heads:
            raise InvalidInput(f"{heads} heads do not divide a width of {width}")
        self.heads, self.dropout = heads, dropout
        self.norm_queries, self.norm_context = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key_value = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        self.feed = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width)
        )

    def forward(self, queries: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the queries after attention to the context (to themselves without one)."""
        normed = self.norm_queries(queries)
        seen = normed if context is None else self.norm_context(context)
        key, value = self.key_value(seen).chunk(2, dim=-1)
        parts = [
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (self.query(normed), key, value)
        ]
        attended = nn.functional.scaled_dot_product_attention(
            *parts, dropout_p=self.dropout if self.training else 0.0
        )
        queries = queries + self.out(attended.transpose(1, 2).flatten(2))
        return queries + self.feed(queries)


class AxisAlignment(nn.Module):
    """Guesses a spectrum's gain and offset and undoes them, before anything else is read from it.

    A spatial transformer (Jaderberg et al., arXiv:1506.02025) with the two freedoms of an energy axis: the
    gain up to ±5 %, the offset up to ±3 channels. Nobody tells it the true ones; it starts with none.
    """

    def __init__(self, channels: int, hidden: int = 128) -> None:
        super().__init__()
        self.guess = nn.Sequential(
            nn.Linear(channels + 1, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden // 2),
            nn.GELU(),
            nn.Linear(hidden // 2, 2),
        )
        nn.init.zeros_(self.guess[-1].weight)  # type: ignore[arg-type]  # a Linear's weight is a tensor
        nn.init.zeros_(self.guess[-1].bias)  # type: ignore[arg-type]
        self.register_buffer("places", torch.arange(channels, dtype=torch.float32), persistent=False)
        self.places: Tensor

    def forward(self, spectra: Tensor, dose: Tensor) -> Tensor:
        """Return the spectra (N, E) as they would be on the usual axis, by linear interpolation."""
        guess = torch.tanh(self.guess(torch.cat([spectra, centred(dose)], dim=1))).float()
        places = self.places * (1 + _MOST_GAIN * guess[:, :1]) + _MOST_OFFSET * guess[:, 1:]
        last = spectra.shape[1] - 1
        below = places.detach().nan_to_num().floor().clamp(0, last - 1)
        part = (places - below).clamp(0, 1)
        index = below.long()
        left, right = spectra.gather(1, index), spectra.gather(1, index + 1)
        return left * (1 - part) + right * part


class ElementHeads(nn.Module):
    """Presence logits and shares of the counts from one feature vector (N, D) for all K names."""

    def __init__(self, width: int, names: int) -> None:
        super().__init__()
        self.presence, self.amount = nn.Linear(width, names), nn.Linear(width, names)

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        """Return ``presence`` and ``intensity``, (N, K)."""
        return {"presence": self.presence(features), "intensity": share(self.amount(features))}


def centred(dose: Tensor) -> Tensor:
    """Return the dose, log10 of counts, (N, 1), about zero: 0 stands for some 3 000 counts."""
    return dose[:, None] - 3.5


def share(value: Tensor) -> Tensor:
    """Return a share of the counts, from 0 up, of an unbounded number."""
    return nn.functional.softplus(value, beta=10.0)
