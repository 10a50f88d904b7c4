import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import napari_xrf as nx
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import LabelClass, LabelMap
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.maps.map_comparison import compare_cubes
from napari_xrf.maps.similarity import flatten_cube, multiscale_similarity, structural_similarity
from verbs import answer, run

AXIS = EnergyAxis(0.0, 0.05, 256)


def cube(seed=0, shape=(16, 20), name="painting"):
    """A map with the peaks of calcium and iron, and a little of everything."""
    energies = AXIS.energies
    expected = sum(
        counts * np.exp(-((energies - at) ** 2) / (2 * 0.06**2)) for at, counts in ((3.69, 20), (6.4, 40))
    )
    counts = np.random.default_rng(seed).poisson(np.tile(expected + 0.2, (*shape, 1)))
    return SpectralCube(counts.astype(np.uint16), AXIS, name=name)


def test_a_map_is_like_itself_and_less_like_another():
    same, other = compare_cubes(cube(), cube()), compare_cubes(cube(), cube(1))
    assert same.measures["ssim"] == pytest.approx(1)
    assert same.measures["multiscale-ssim"] == pytest.approx(1)
    assert same.measures["jensen-shannon"] == pytest.approx(0, abs=1e-6)
    assert len(same.measures) == 9
    assert other.measures["ssim"] < 0.99
    assert not same.notes


def test_maps_are_flattened_piece_by_piece_as_in_one():
    first, second = cube(), cube(1)
    found = compare_cubes(first, second).measures
    flat = [flatten_cube(each.counts) for each in (first, second)]
    assert found["ssim"] == pytest.approx(structural_similarity(*flat), rel=1e-6)
    assert found["multiscale-ssim"] == pytest.approx(multiscale_similarity(*flat), rel=1e-5)


def test_what_cannot_be_told_is_said():
    shifted = replace(cube(), energy=EnergyAxis(-0.1, 0.05, 256))
    found = compare_cubes(cube(), shifted)
    assert math.isnan(found.measures["ssim"])
    assert found.measures["cosine"] > 0.3  # the peaks stand elsewhere
    assert "moved" in found.notes[0]
    small = compare_cubes(cube(shape=(4, 4)), cube(1, shape=(4, 4)))
    assert math.isnan(small.measures["multiscale-ssim"])
    assert not math.isnan(small.measures["ssim"])
    assert "multi-scale" in small.notes[0]


def test_an_empty_map_is_refused():
    with pytest.raises(InvalidInput, match="without counts"):
        compare_cubes(cube(), replace(cube(), counts=np.zeros((4, 4, 256), np.uint16)))


def test_on_the_command_line(tmp_path, capsys):
    for name, seed in (("a", 0), ("b", 1)):
        nx.write(tmp_path / f"{name}.h5", cube(seed, name=name))
    data = answer(capsys, "compare", tmp_path / "a.h5", tmp_path / "b.h5", "-o", tmp_path / "out")
    assert data["measures"] == pytest.approx(dict(nx.compare_maps(tmp_path / "a.h5", cube(1)).measures))
    with Image.open(tmp_path / "out" / "comparison.png") as picture:
        assert np.asarray(picture).std() > 10
    nx.write(tmp_path / "labels.tif", LabelMap(np.ones((16, 20), np.uint16), (LabelClass(1, "quartz"),)))
    assert run(capsys, "compare", tmp_path / "a.h5", tmp_path / "labels.tif")[0] != 0
