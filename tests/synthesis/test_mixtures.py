import json
from dataclasses import replace

import numpy as np
import pytest

from napari_xrf.core.errors import InvalidInput
from napari_xrf.physics.instrument import load_instrument
from napari_xrf.physics.source import MonochromaticSource
from napari_xrf.synthesis.distortions import Distortions
from napari_xrf.synthesis.mixtures import (
    ARGON_ESCAPE_KEV,
    MixtureParameters,
    make_templates,
    synthesize_mixtures,
)

RNG = np.random.default_rng
PLAIN = MixtureParameters(elements=("Ca", "Fe", "Cu", "Pb"), substrates=("none",), distortions=None)


@pytest.fixture(scope="module")
def gem():
    return load_instrument("gem")


def test_lines_and_escape_peaks(gem):
    made = make_templates(["Fe", "K"], ["none", "wood"], gem)
    energies = gem.energy.energies
    iron, escape = made.lines[0], made.escapes[0]
    assert made.lines.sum(axis=1) == pytest.approx([1, 1], abs=1e-4)
    assert energies[iron.argmax()] == pytest.approx(6.4, abs=0.15)
    assert energies[escape.argmax()] == pytest.approx(6.4 - ARGON_ESCAPE_KEV, abs=0.15)
    assert escape.sum() == pytest.approx(made.escaping[0].sum(), rel=0.01)
    above = energies[iron > iron.max() / 2]
    assert np.ptp(above) == pytest.approx(float(gem.detector.fwhm(6.4)), abs=0.25)
    assert not made.substrates[0].any()
    assert made.substrates[1].sum() == pytest.approx(1, abs=1e-4)


def test_counts_are_conserved_by_escape(gem):
    same = {"generator": RNG(1)}
    made = synthesize_mixtures(
        300, gem, parameters=replace(PLAIN, escape=(0.1, 0.1), counts=(5000, 5000)), **same
    )
    assert made.counts.sum(axis=1).mean() == pytest.approx(5000, rel=0.01)
    assert made.net_counts.sum(axis=1) == pytest.approx([5000] * 300, rel=1e-4)


def test_the_mean_of_many_draws_is_the_expectation(gem):
    one = replace(PLAIN, elements=("Fe",), present=(1, 1), escape=(0.08, 0.08), counts=(1000, 1000))
    made = synthesize_mixtures(2000, gem, generator=RNG(2), parameters=one)
    shape = make_templates(["Fe"], ["none"], gem)
    expected = 1000 * (shape.lines[0] + 0.08 * (shape.escapes[0] - shape.escaping[0]))
    error = np.sqrt(np.maximum(expected, 1e-6) / 2000)
    inside = expected > 0.05
    assert np.abs((made.counts.mean(axis=0) - expected)[inside] / error[inside]).max() < 5


def test_targets(gem):
    made = synthesize_mixtures(
        400, gem, generator=RNG(3), parameters=replace(PLAIN, present=(1, 2), substrates=("none", "plaster"))
    )
    assert set(made.present.sum(axis=1)) == {1, 2}
    bare = made.substrates == 0
    assert made.counts[bare].sum(axis=1) == pytest.approx(made.net_counts[bare].sum(axis=1), rel=0.3)
    covered = made.counts[~bare].sum() / made.net_counts[~bare].sum()
    assert 1.1 < covered < 2.5
    json.dumps(dict(made.parameters))


def test_bare_substrates_and_zero_dose(gem):
    bare = replace(PLAIN, present=(0, 0), substrates=("wood",), counts=(1000, 1000))
    made = synthesize_mixtures(50, gem, generator=RNG(4), parameters=bare)
    assert not made.present.any()
    assert made.counts.sum(axis=1).mean() == pytest.approx(1000, rel=0.05)
    none = synthesize_mixtures(5, gem, generator=RNG(4), parameters=replace(PLAIN, counts=(0, 0)))
    assert not none.counts.any()


def test_augmentation_changes_the_spectra_and_not_the_mixture(gem):
    augmented = replace(PLAIN, distortions=MixtureParameters().distortions)
    plain = synthesize_mixtures(30, gem, generator=RNG(5), parameters=PLAIN)
    changed = synthesize_mixtures(30, gem, generator=RNG(5), parameters=augmented)
    again = synthesize_mixtures(30, gem, generator=RNG(5), parameters=augmented)
    assert np.array_equal(plain.net_counts, changed.net_counts)
    assert not np.array_equal(plain.counts, changed.counts)
    assert np.array_equal(changed.counts, again.counts)


@pytest.mark.parametrize("factor", [1.0, 1.13, 1.25])
def test_wider_peaks_stay_gaussian(gem, factor):
    ranges = Distortions(width_factor=(1.0, 1.25))
    one = MixtureParameters(
        elements=("Ca",),
        present=(1, 1),
        substrates=("none",),
        escape=(0.0, 0.0),
        counts=(1e6, 1e6),
        distortions=replace(ranges, width_factor=(factor, factor)),
    )
    made = synthesize_mixtures(50, gem, generator=RNG(3), parameters=one).counts.mean(axis=0)
    exact = make_templates(["Ca"], ["none"], gem, width_factor=factor).lines[0]
    assert np.abs(made / made.sum() - exact).sum() / 2 < 0.002
    # Drawn from a range, a width lies between two of the shapes that are kept.
    between = replace(one, distortions=ranges)
    many = synthesize_mixtures(4000, gem, generator=RNG(4), parameters=between).counts
    energies, total = gem.energy.energies, many.sum(axis=1)
    mean = many @ energies / total
    spread = np.sqrt(many @ energies**2 / total - mean**2)
    narrow, wide = (
        np.sqrt(line @ energies**2 - (line @ energies) ** 2)
        for line in (
            make_templates(["Ca"], ["none"], gem, width_factor=each).lines[0] for each in (1.0, 1.25)
        )
    )
    assert spread.min() == pytest.approx(narrow, rel=0.02)
    assert spread.max() == pytest.approx(wide, rel=0.02)
    assert np.median(spread) == pytest.approx((narrow + wide) / 2, rel=0.02)


def test_files(gem, tmp_path):
    from napari_xrf.io import read
    from napari_xrf.io.own.cube_files import read_truth, write_cube

    made = synthesize_mixtures(20, gem, generator=RNG(6), parameters=PLAIN)
    write_cube(tmp_path / "mixtures.h5", made.as_cube(), truth=made.truth_entries())
    truth = read_truth(tmp_path / "mixtures.h5")
    assert np.array_equal(np.asarray(read(tmp_path / "mixtures.h5").counts[:])[:, 0], made.counts)
    assert np.array_equal(truth["net_counts"], made.net_counts)
    assert truth["parameters"]["elements"] == ["Ca", "Fe", "Cu", "Pb"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"elements": ("Fe", "Xy")}, "no element 'Xy'"),
        ({"elements": ("Fe", "Fe")}, "each once"),
        ({"elements": ()}, "each once"),
        ({"substrates": ("stone",)}, "no substrate 'stone'"),
        ({"substrates": ()}, "at least one substrate"),
        ({"present": (2, 1)}, "present must run"),
        ({"present": (0, 1)}, "is empty"),
        ({"escape": (0.1, 0.9)}, "escape must lie"),
        ({"counts": (-1, 5)}, "counts must lie"),
    ],
)
def test_bad_parameters_are_named(parameters, message):
    with pytest.raises(InvalidInput, match=message):
        MixtureParameters(**parameters)


def test_elements_that_cannot_be_seen(gem):
    weak = replace(gem, source=MonochromaticSource(6.0))
    iron = replace(PLAIN, elements=("Fe",), present=(1, 1))
    with pytest.raises(InvalidInput, match="Fe"):
        synthesize_mixtures(5, weak, generator=RNG(0), parameters=iron)
    with pytest.raises(InvalidInput, match="at least one"):
        synthesize_mixtures(0, gem, generator=RNG(0))
