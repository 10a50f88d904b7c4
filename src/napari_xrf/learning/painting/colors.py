"""Colours as paints mix them, on arrays and on tensors alike: sRGB, reflectance, absorption, CIELAB."""

from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Values = TypeVar("Values", NDArray[np.float64], Tensor)

# Reflectances stay inside this, or a black pigment's absorption would be infinite.
DARKEST, LIGHTEST = 0.01, 0.98
_WHITE = (0.95047, 1.0, 1.08883)  # D65, 2°
_TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)


def linear_from_srgb(colors: Values) -> Values:
    """Return linear reflectances of sRGB, both from 0 to 1 (IEC 61966-2-1)."""
    raised = ((colors.clip(min=0.04045) + 0.055) / 1.055) ** 2.4
    return _library(colors).where(colors <= 0.04045, colors / 12.92, raised)


def absorption(colors: Values) -> Values:
    """Return Kubelka and Munk's K/S = (1 − R)² / 2R of each primary of sRGB from 0 to 1."""
    linear = linear_from_srgb(colors).clip(DARKEST, LIGHTEST)
    return (1 - linear) ** 2 / (2 * linear)


def reflectance(ratio: Values) -> Values:
    """Return the reflectance of an opaque layer of a K/S."""
    # In this order, which gradients are added up in: training by seed depends on it.
    return 1 + ratio - _library(ratio).sqrt(ratio * ratio + 2 * ratio)


def lab_from_linear(linear: Tensor) -> Tensor:
    """Return CIELAB under D65 of linear sRGB (..., 3) from 0 to 1."""
    to_xyz = linear.new_tensor(_TO_XYZ) / linear.new_tensor(_WHITE)[:, None]
    share = linear @ to_xyz.T
    root = torch.where(share > 0.008856, share.clamp_min(0.008856) ** (1 / 3), 7.787 * share + 16 / 116)
    x, y, z = root.unbind(dim=-1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=-1)


def mixed_lab(masses: Tensor, colors: Tensor) -> Tensor:
    """Return CIELAB (N, 3) of mixtures (N, P) of masstones (N, P, 3), sRGB from 0 to 1; has a gradient."""
    return lab_from_linear(reflectance((masses[..., None] * absorption(colors)).sum(dim=1)))


def _library(values: Any) -> Any:
    return torch if isinstance(values, Tensor) else np
