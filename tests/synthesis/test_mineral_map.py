import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_xrf.core.errors import Cancelled, InvalidInput
from napari_xrf.reference.materials import Material
from napari_xrf.synthesis.distortions import Distortions, typical_distortions
from napari_xrf.synthesis.mineral_map import draw_mineral_map, synthesize_mineral_map
from napari_xrf.synthesis.textures import Occurrence, Texture, grow_grains
from pure_spectra import AXIS, MATERIALS, pure_spectra

RNG = np.random.default_rng


def draw(seed=1, **options):
    return draw_mineral_map(MATERIALS, pure_spectra(), generator=RNG(seed), **{"shape": (24, 30), **options})


@settings(max_examples=15, deadline=None)
@given(
    rows=st.integers(1, 30),
    columns=st.integers(1, 30),
    grain=st.floats(1, 60),
    beam=st.floats(0, 3),
    zoned=st.booleans(),
    habits=st.tuples(*[st.sampled_from(["grain", "vein", "inclusion"])] * 2),
)
def test_abundances_are_shares(rows, columns, grain, beam, zoned, habits):
    phases = [
        Occurrence(2, zoned_to=1 if zoned else None),
        Occurrence(0.5, habits[0]),
        Occurrence(0.2, habits[1]),
    ]
    texture = Texture(grain_size=grain, beam_fwhm=beam, subpixels=2)
    grown = grow_grains((rows, columns), phases, texture, RNG(0))
    assert grown.abundances.shape == (rows, columns, 3)
    assert grown.grains.shape == (rows, columns)
    assert (grown.abundances >= 0).all()
    assert np.allclose(grown.abundances.sum(axis=2), 1, atol=1e-5)


def test_shares_habits_and_boundaries():
    phases = [
        Occurrence(0.5),
        Occurrence(0.3, elongation=4.0),
        Occurrence(0.1, "inclusion", 0.4),
        Occurrence(0.1, "vein"),
    ]
    grown = grow_grains((150, 150), phases, Texture(beam_fwhm=0.0), RNG(3))
    found = grown.abundances.mean(axis=(0, 1))
    assert found[0] == pytest.approx(0.5 * 0.8 / 0.8, abs=0.15)
    assert 0.02 < found[2] < 0.2
    assert 0.02 < found[3] < 0.3
    largest = grown.abundances.max(axis=2)
    assert 0.02 < (largest < 0.99).mean() < 0.6
    # Most of a grain is one material.
    assert (largest > 0.99).mean() > 0.4


def test_zoned_grains_change_from_core_to_rim():
    smooth = grow_grains(
        (60, 60),
        [Occurrence(1, zoned_to=1), Occurrence(0)],
        Texture(grain_size=40, beam_fwhm=0),
        RNG(2),
    )
    steps = grow_grains(
        (60, 60),
        [Occurrence(1, zoned_to=1), Occurrence(0)],
        Texture(grain_size=40, beam_fwhm=0, zoning_steps=2, subpixels=1),
        RNG(2),
    )
    share = smooth.abundances[..., 1]
    assert share.min() == 0
    assert share.max() > 0.9
    assert set(np.unique(steps.abundances[..., 1])) == {0.0, 0.5, 1.0}


def test_the_dose_is_the_mean_and_bright_minerals_get_more():
    made = draw(counts_per_pixel=2000.0, shape=(40, 40))
    totals = made.cube.counts.sum(axis=2)
    assert totals.mean() == pytest.approx(2000, rel=0.01)
    quartz, calcite = (totals[made.abundances[..., index] > 0.999].mean() for index in (0, 1))
    assert calcite == pytest.approx(2 * quartz, rel=0.05)


def test_the_mean_of_many_draws_is_the_expectation():
    pure = pure_spectra()
    total = np.zeros((3, AXIS.size))
    for seed in range(30):
        made = draw(seed, counts_per_pixel=500.0)
        for index in range(3):
            inside = made.abundances[..., index] > 0.9999
            scale = 500.0 / (made.abundances.mean(axis=(0, 1)) @ pure.spectra.sum(axis=1))
            total[index] += made.cube.counts[inside].sum(axis=0) - inside.sum() * scale * pure.spectra[index]
    variance = 30 * 720 * 500.0 * pure.spectra.sum(axis=0) / 3
    assert np.abs(total.sum(axis=0)[variance > 1]).max() < 6 * np.sqrt(variance.max())
    assert abs(total.sum()) < 5 * np.sqrt(30 * 720 * 500)


def test_zero_dose_gives_zero_counts():
    assert not draw(counts_per_pixel=0.0, distortions=typical_distortions()).cube.counts.any()


def test_same_seed_same_map_in_memory_or_drawn_on_reading():
    loaded = draw(distortions=typical_distortions())
    undrawn = draw(distortions=typical_distortions(), memory_budget=1000)
    assert loaded.cube.is_loaded
    assert not undrawn.cube.is_loaded
    counts = undrawn.cube.counts
    assert np.array_equal(loaded.cube.counts[3:7, 5], counts[3:7, 5])
    assert np.array_equal(loaded.cube.counts[..., 100:120], counts[..., 100:120])
    assert np.array_equal(loaded.cube.counts[-1, -1], counts[-1, -1])
    assert np.array_equal(loaded.cube.sum_spectrum(), undrawn.cube.sum_spectrum())
    assert np.array_equal(loaded.cube.counts, undrawn.cube.load().counts)
    assert not np.array_equal(loaded.cube.counts, draw(2, distortions=typical_distortions()).cube.counts)
    with pytest.raises(IndexError):
        counts[0, 0, 0, 0]


def test_the_ideal_map_differs_only_by_the_distortion():
    made = draw(
        distortions=Distortions(bragg_strength=(0.2, 0.3), bragg_share=1.0),
        with_ideal=True,
        counts_per_pixel=3000,
    )
    plain = draw(counts_per_pixel=3000)
    assert np.array_equal(made.companions["ideal"].counts, plain.cube.counts)
    difference = made.cube.counts.astype(int) - made.companions["ideal"].counts
    # Only channels within the added peaks change, and Poisson counts of one random number only grow.
    assert (difference != 0).any()
    changed = (difference != 0).any(axis=(0, 1)).mean()
    assert changed < 0.95
    assert difference[difference != 0].mean() > 0


def test_the_twin_detector_sees_no_bragg_peaks_and_other_noise():
    made = draw(
        distortions=Distortions(bragg_strength=(0.5, 0.5), bragg_share=1.0),
        with_twin=True,
        counts_per_pixel=3000,
    )
    ideal = draw(counts_per_pixel=3000).cube.counts.astype(float)
    assert made.cube.counts.sum() > 1.2 * ideal.sum()
    assert float(made.companions["twin"].counts.sum()) == pytest.approx(ideal.sum(), rel=0.01)
    assert not np.array_equal(made.companions["twin"].counts, ideal)


def test_truth():
    made = draw(formulas=["SiO2", "CaCO3", "FeS2"], counts_per_pixel=1000.0)
    assert [entry.name for entry in made.truth.classes] == ["quartz", "calcite", "pyrite"]
    assert np.array_equal(made.truth.labels - 1, made.abundances.argmax(axis=2))
    assert made.truth.class_named("pyrite").density == 5.01
    share = made.abundances[..., 2]
    iron = made.line_counts["Fe K"]
    assert np.allclose(iron, share * iron.max() / share.max(), rtol=1e-4)
    entries = made.truth_entries()
    assert entries["mass_fractions"].shape == (24, 30, 6)
    assert np.allclose(entries["mass_fractions"].sum(axis=2), 1, atol=1e-4)
    assert json.loads(json.dumps(entries["parameters"]))["seed"].isdigit()


def test_truth_survives_the_file(tmp_path):
    from napari_xrf.io import read
    from napari_xrf.io.own.cube_files import read_truth, write_cube

    made = draw(distortions=typical_distortions())
    write_cube(tmp_path / "map.h5", made.cube, truth=made.truth_entries())
    back = read(tmp_path / "map.h5")
    truth = read_truth(tmp_path / "map.h5")
    assert np.array_equal(np.asarray(back.counts[:]), made.cube.counts)
    assert np.array_equal(truth["labels"].labels, made.truth.labels)
    assert np.array_equal(truth["line_counts"]["Ca K"], made.line_counts["Ca K"])
    assert truth["parameters"]["distortions"]["gain"] == [-0.002, 0.002]


def test_cancel_stops_the_drawing():
    def cancel(done, total, what):
        if what == "drawing counts":
            raise Cancelled

    with pytest.raises(Cancelled):
        draw(progress=cancel)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"counts_per_pixel": -1.0}, "counts per pixel must lie"),
        ({"shape": (0, 5)}, "shape must lie"),
        ({"counts": 5}, "no parameter counts"),
        ({"phases": [Occurrence()]}, "1 phases and 3 spectra do not fit 3 materials"),
        ({"phases": [Occurrence(1, "vein")] * 3}, "no material fills the map"),
        ({"phases": [Occurrence(zoned_to=7)] * 3}, "material 7"),
        ({"colors": ["#ffffff"]}, "1 colours do not fit"),
        ({"pixel_size": (0.0, 1.0)}, "pixel size"),
    ],
)
def test_bad_parameters_are_named(options, message):
    with pytest.raises(InvalidInput, match=message):
        draw(**options)


def test_bad_materials_are_named():
    with pytest.raises(InvalidInput, match="at least one material"):
        draw_mineral_map([], pure_spectra(), generator=RNG(0))
    with pytest.raises(InvalidInput, match="quartz stands twice"):
        draw_mineral_map([MATERIALS[0]] * 2, pure_spectra(), generator=RNG(0))
    with pytest.raises(InvalidInput, match="no habit 'layer'"):
        Occurrence(habit="layer")
    with pytest.raises(InvalidInput, match="no element"):
        Material("nothing", {"Xx": 1.0})


def test_voltage_below_every_edge():
    from napari_xrf.physics.instrument import load_instrument
    from napari_xrf.physics.source import MonochromaticSource

    weak = replace(load_instrument("gem"), source=MonochromaticSource(6.0))
    with pytest.raises(InvalidInput, match="Fe"):
        synthesize_mineral_map([Material.from_formula("Fe", 7.87)], weak, generator=RNG(0))


def test_spectra_without_counts():
    empty = replace(pure_spectra(), spectra=np.zeros((3, AXIS.size)))
    with pytest.raises(InvalidInput, match="excites nothing"):
        draw_mineral_map(MATERIALS, empty, generator=RNG(0))


def test_pegmatite_shows_its_elements():
    from napari_xrf.synthesis.pegmatite import pegmatite_minerals, synthesize_pegmatite

    made = synthesize_pegmatite(shape=(30, 30), generator=RNG(1))
    assert made.cube.shape == (30, 30, 4096)
    assert made.cube.pixel_size == (50.0, 50.0)
    assert len(made.materials) == len(pegmatite_minerals()) == len(made.truth.classes)
    feldspar = made.abundances[..., [each.name for each in made.materials].index("K-feldspar")] > 0.9
    rubidium = made.cube.window_map(13.2, 13.6)
    assert rubidium[feldspar].mean() > 3 * rubidium[made.truth.labels == 1].mean()
