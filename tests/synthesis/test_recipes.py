"""Recipes of synthetic maps: what comes beside the counts."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from napari_xrf.synthesis.mineral_map import MapParameters
from napari_xrf.synthesis.painting import PaintingParameters
from napari_xrf.synthesis.recipes import make_minerals, make_painting


def test_maps_come_with_their_expected_counts(tmp_path):
    grains = MapParameters(shape=(40, 40), counts_per_pixel=300.0, with_expected=True)
    minerals = make_minerals(["quartz", "pyrite"], seed=1, parameters=grains)
    picture = np.zeros((30, 30, 3), dtype=np.uint8)
    picture[:, 15:] = (200, 30, 20)
    Image.fromarray(picture).save(tmp_path / "picture.png")
    colours = PaintingParameters(totals="poisson", with_expected=True)
    painted = make_painting(tmp_path / "picture.png", seed=1, parameters=colours)
    for made in (minerals, painted):
        expected = np.asarray(made.companions["expected"].counts[:], dtype=np.float64)
        counts = np.asarray(made.cube.counts[:], dtype=np.float64)
        assert expected.shape == counts.shape
        # Of a painting the counts of each pixel are given, so that only their places among the channels vary.
        assert ((counts - expected) ** 2).sum() / expected.sum() == pytest.approx(1, abs=0.05)
        assert counts.sum() == pytest.approx(expected.sum(), rel=0.01)
