import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_xrf.core.errors import FileError, InvalidInput
from napari_xrf.reference.pigments import COLUMNS, load_pigments
from napari_xrf.reference.tables import select
from napari_xrf.synthesis.color_clusters import (
    ClusterParameters,
    assign,
    cluster_colors,
    find_centres,
    rgb_image,
    silhouette,
)
from napari_xrf.synthesis.color_similarity import SIMILARITIES, color_similarity, threshold_weights
from napari_xrf.synthesis.distortions import Distortions, typical_distortions
from napari_xrf.synthesis.painting import PaintingParameters, color_spectra, synthesize_painting
from napari_xrf.synthesis.pigment_files import read_measured_pigments
from napari_xrf.synthesis.pigments import PigmentSpectra, expect_pigments, paint_layer
from pure_spectra import AXIS, peaks

RNG = np.random.default_rng
RED, GREEN, BLUE, WHITE = (200, 40, 40), (60, 150, 80), (40, 60, 150), (250, 250, 245)


def pigments():
    return PigmentSpectra(
        ("red", "green", "blue", "white"),
        np.array([RED, GREEN, BLUE, WHITE], dtype=float),
        np.stack([peaks([2.3, 10.0]), peaks([8.05, 8.9]), peaks([3.3, 6.4]), peaks([10.5, 12.6])]),
        AXIS,
    )


def picture(noise=4.0, size=30):
    image = np.zeros((size, size, 3))
    half = size // 2
    image[:half, :half], image[:half, half:], image[half:, :half], image[half:, half:] = (
        RED,
        GREEN,
        BLUE,
        WHITE,
    )
    image += RNG(0).normal(0, noise, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def paint(seed=1, image=None, distortions=None, **parameters):
    few = ClusterParameters(start=4, spread=2)
    chosen = PaintingParameters(**{"clusters": few, **parameters})
    return synthesize_painting(
        picture() if image is None else image, pigments(), generator=RNG(seed), parameters=chosen,
        distortions=distortions, fwhm=lambda energies: 0.15 + 0 * energies,
    )  # fmt: skip


def test_clusters_find_the_colours():
    found = cluster_colors(picture(), generator=RNG(1), parameters=ClusterParameters(start=4, spread=2))
    assert len(found.colors) == 4
    assert found.silhouette > 0.8
    for color in (RED, GREEN, BLUE, WHITE):
        assert np.abs(found.colors - color).max(axis=1).min() < 8
    assert all(len(np.unique(quarter)) == 1 for quarter in (found.labels[:15, :15], found.labels[15:, 15:]))


def test_patience_stops_the_search():
    told = []
    cluster_colors(
        picture(noise=30),
        generator=RNG(1),
        parameters=ClusterParameters(start=12, spread=8, patience=1),
        progress=lambda done, total, what: told.append(done),
    )
    assert len(told) < 17


def test_few_colours_stay_as_they_are():
    image = picture(noise=0)
    found = cluster_colors(image, generator=RNG(1))
    assert np.array_equal(found.colors[found.labels].astype(np.uint8), image)


def test_one_pixel_and_one_colour():
    assert paint(image=np.full((1, 1, 3), 200, np.uint8)).cube.shape == (1, 1, AXIS.size)
    assert len(cluster_colors(np.full((9, 9, 3), 7, np.uint8), generator=RNG(0)).colors) == 1


def test_silhouette_of_known_clusters():
    points = np.array([[0.0], [1.0], [10.0], [12.0]])
    labels = np.array([0, 0, 1, 1], dtype=np.int32)
    by_hand = np.mean([1 - 1 / 11, 1 - 1 / 10, 1 - 2 / 9.5, 1 - 2 / 11.5])
    assert silhouette(points, labels) == pytest.approx(by_hand)
    assert silhouette(points, np.zeros(4, dtype=np.int32)) == -1


def test_k_means_reaches_separate_clusters():
    rng = RNG(3)
    truth = rng.uniform(0, 200, size=(6, 3))
    points = np.concatenate([centre + rng.normal(0, 1.0, size=(200, 3)) for centre in truth])
    centres = find_centres(points, 6, rng)
    assert np.abs(centres[assign(truth, centres)] - truth).max() < 1.0
    assert len(find_centres(np.zeros((5, 3)), 3, rng)) == 1


@pytest.mark.parametrize("measure", SIMILARITIES)
@settings(max_examples=15, deadline=None)
@given(colors=st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=6, unique=True))
def test_similarity_is_1_for_the_same_colour_and_lies_from_0_to_1(measure, colors):
    table = np.array(colors, dtype=float)
    similarity = color_similarity(table, table, measure)
    assert np.allclose(np.diag(similarity), 1, atol=1e-6)
    assert (similarity >= 0).all()
    assert (similarity <= 1).all()


def test_similarity_of_black_and_white():
    assert color_similarity([[0, 0, 0]], [[255, 255, 255]])[0, 0] == pytest.approx(0, abs=1e-3)
    assert color_similarity([[0, 0, 0]], [[255, 255, 255], [0, 0, 0]], "cosine").tolist() == [[0.0, 1.0]]


@settings(max_examples=30, deadline=None)
@given(
    similarity=st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1, max_size=5),
    threshold=st.floats(0, 1),
)
def test_weights_drop_what_lies_under_the_threshold_and_keep_the_best(similarity, threshold):
    table = np.array(similarity)
    weights = threshold_weights(table, threshold)
    assert np.allclose(weights.sum(axis=1), 1)
    for given_row, row in zip(table, weights, strict=True):
        if (given_row > threshold).any():
            assert ((row > 0) == (given_row > threshold)).all()
        else:
            assert row[given_row.argmax()] == 1


def test_pixels_show_the_lines_of_their_pigment():
    made = paint(threshold=0.9)
    assert made.weights.max(axis=1).min() == 1
    copper = made.cube.window_map(7.7, 9.2)
    assert copper[:15, 15:].min() > 300
    assert copper[15:, :15].max() < 40
    assert np.array_equal(made.truth.labels - 1, made.clusters.labels)
    assert made.truth.classes[made.clusters.labels[0, 29]].name.endswith("green")
    assert made.pigment_maps().shape == (30, 30, 4)


def test_mixtures_follow_the_weights():
    spectra = color_spectra(np.array([[0.25, 0.75, 0, 0]]), pigments())
    assert spectra.sum() == pytest.approx(1)
    assert spectra[0, AXIS.window(7.5, 9.5)].sum() == pytest.approx(0.75, abs=0.01)


def test_line_counts_are_those_expected():
    known = replace(
        pigments(), families=({"Hg L": 1.0}, {"Cu K": 1.0}, {"K K": 0.5, "Fe K": 0.5}, {"Pb L": 1.0})
    )
    chosen = PaintingParameters(threshold=0.9, clusters=ClusterParameters(start=4, spread=2))
    made = synthesize_painting(picture(), known, generator=RNG(1), parameters=chosen)
    assert made.line_counts["Cu K"][0, 29] == pytest.approx(400)
    assert made.line_counts["Fe K"][29, 0] == pytest.approx(200)
    assert made.line_counts["Fe K"][0, 0] == 0
    assert made.truth_entries()["line_counts"] is made.line_counts
    assert "line_counts" not in paint().truth_entries()
    with pytest.raises(InvalidInput, match="line families"):
        replace(pigments(), families=({},))


def test_totals():
    assert (paint().cube.counts.sum(axis=2) == 400).all()
    poisson = paint(totals="poisson", counts_per_pixel=300.5).cube.counts.sum(axis=2)
    assert poisson.mean() == pytest.approx(300.5, abs=3)
    assert poisson.var() == pytest.approx(300, rel=0.2)
    lit = paint(totals="luminosity", luminosity_contrast=5.0).cube.counts.sum(axis=2)
    assert lit.mean() == pytest.approx(400, rel=0.02)
    assert lit[15:, 15:].mean() > 2 * lit[15:, :15].mean()
    assert not paint(counts_per_pixel=0).cube.counts.any()


def test_counts_beyond_16_bits():
    made = synthesize_painting(
        np.full((2, 2, 3), 10, np.uint8),
        PigmentSpectra(("line",), np.zeros((1, 3)), np.eye(1, AXIS.size, 50), AXIS),
        generator=RNG(0),
        parameters=PaintingParameters(counts_per_pixel=100_000),
    )
    assert (made.cube.counts[:, :, 50] == 100_000).all()


def test_same_seed_same_painting_in_memory_or_not():
    made = paint(totals="poisson")
    other = synthesize_painting(
        picture(),
        pigments(),
        generator=RNG(1),
        parameters=PaintingParameters(totals="poisson", clusters=ClusterParameters(start=4, spread=2)),
        memory_budget=100,
    )
    assert not other.cube.is_loaded
    assert np.array_equal(made.cube.counts, other.cube.counts[:])
    assert not np.array_equal(made.cube.counts, paint(2, totals="poisson").cube.counts)


def test_a_painting_is_recorded_as_badly_as_minerals_are():
    """Distortions were for minerals and mixtures alone."""
    common = {"image": picture(size=8), "totals": "poisson", "with_expected": True}
    plain, stretched = paint(**common), paint(distortions=Distortions(gain=(0.02, 0.02)), **common)
    assert np.array_equal(plain.clusters.labels, stretched.clusters.labels)
    sums = [np.asarray(made.companions["expected"].counts).sum(axis=(0, 1)) for made in (plain, stretched)]
    places = [float(AXIS.energies @ each / each.sum()) for each in sums]
    assert places[1] / places[0] == pytest.approx(1.02, abs=2e-3)
    counts = np.asarray(stretched.cube.counts, dtype=float)
    assert counts.sum(axis=2).mean() == pytest.approx(400, rel=0.03)
    assert stretched.parameters["distortions"]["gain"] == (0.02, 0.02)
    with pytest.raises(InvalidInput, match="totals are fixed"):
        paint(distortions=typical_distortions())


def test_truth_survives_the_file(tmp_path):
    from napari_xrf.io import read
    from napari_xrf.io.own.cube_files import read_truth, write_cube

    made = paint()
    write_cube(tmp_path / "painting.h5", made.cube, truth=made.truth_entries())
    back, truth = read(tmp_path / "painting.h5"), read_truth(tmp_path / "painting.h5")
    assert np.array_equal(np.asarray(back.counts[:]), made.cube.counts)
    assert np.array_equal(back.images[0].data, picture())
    assert np.allclose(truth["pigment_weights"], made.weights)
    assert truth["labels"].classes == made.truth.classes
    assert json.loads(json.dumps(truth["parameters"]))["pigments"] == ["red", "green", "blue", "white"]


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((5, 5)), "no colour channels"),
        (np.zeros((5, 5, 2)), "no colour channels"),
        (np.zeros((0, 5, 3)), "no pixels"),
        (np.full((5, 5, 3), np.nan), "from 0 to 1"),
        (np.full((5, 5, 3), 2.0), "from 0 to 1"),
        (np.full((5, 5, 3), -1), "from 0 to"),
    ],
)
def test_images_without_colour_are_refused(image, message):
    with pytest.raises(InvalidInput, match=message):
        paint(image=image)


def test_kinds_of_images():
    image = picture()
    assert np.allclose(rgb_image(image), rgb_image(image / 255.0))
    assert np.allclose(rgb_image(image), rgb_image(image.astype(np.uint16) * 257))
    assert rgb_image(np.dstack([image, np.full((30, 30), 9, np.uint8)])).shape == (30, 30, 3)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"threshold": 1.5}, "threshold must lie from 0 to 1"),
        ({"totals": "many"}, "no totals 'many'"),
        ({"similarity": "hue"}, "no similarity 'hue'"),
        ({"counts_per_pixel": 10.5}, "whole number"),
        ({"counts_per_pixel": -5}, "counts per pixel must lie"),
    ],
)
def test_bad_parameters_are_named(parameters, message):
    with pytest.raises(InvalidInput, match=message):
        PaintingParameters(**parameters)


def test_shipped_pigments():
    shipped = load_pigments()
    assert len(shipped) >= 40
    assert all(pigment.source and pigment.formula for pigment in shipped)
    lead_white, vermilion = select(shipped, ["Lead white", "vermilion"], "pigment")
    assert lead_white.material.mass_fractions["Pb"] == pytest.approx(0.801, abs=0.002)
    assert vermilion.material.mass_fractions["Hg"] == pytest.approx(0.862, abs=0.002)
    layer = paint_layer(lead_white)
    assert layer.material.density == pytest.approx(0.45 * 6.8 + 0.55 * 0.93)
    assert layer.material.mass_fractions["Pb"] < 0.801
    with pytest.raises(InvalidInput, match="Did you mean vermilion"):
        select(shipped, ["vermilon"], "pigment")


def test_expected_pigments_show_their_metal():
    from napari_xrf.physics.instrument import load_instrument

    chosen = select(load_pigments(), ["malachite", "vermilion"], "pigment")
    made = expect_pigments(chosen, load_instrument("m4-tornado"))
    copper, mercury = made.energy.window(7.9, 8.2), made.energy.window(9.8, 10.2)
    assert made.spectra[0, copper].sum() > 20 * made.spectra[1, copper].sum()
    assert made.spectra[1, mercury].sum() > 20 * made.spectra[0, mercury].sum()
    assert made.families[0]["Cu K"] > 0.5 * made.spectra[0].sum()
    for ground, substrate in (("sand", "wood"), ("chalk", "stone")):
        with pytest.raises(InvalidInput, match="there is no"):
            expect_pigments(chosen, load_instrument("m4-tornado"), ground=ground, substrate=substrate)


HEADER = ",".join(COLUMNS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        (HEADER, "holds no pigment"),
        (HEADER + "\nx,CaCO3,#ffffff,-1,,,", "line 2: the density"),
        (HEADER + "\nx,CaXx3,#ffffff,1,,,", "line 2: cannot read the formula"),
        (HEADER + "\nx,CaCO3,white,1,,,", "line 2: colour"),
        (HEADER + "\nx,CaCO3,#ffffff,heavy,,,", "line 2: density 'heavy'"),
        (HEADER + "\nx,CaCO3,#ffffff,,,,", "line 2: the density"),
        (HEADER + "\nx,CaCO3,#ffffff,2,1,3,", "line 2: pigment volume of x"),
        (HEADER + "\n,CaCO3,#ffffff,2,,,", "line 2: the name is empty"),
        (HEADER + "\nx,CaCO3,#ffffff,2,,,\nx,CaCO3,#ffffff,2,,,", "line 3: x stands twice"),
    ],
)
def test_bad_pigment_tables_are_named(tmp_path, text, message):
    path = tmp_path / "mine.csv"
    path.write_text(text)
    with pytest.raises(FileError, match=message):
        load_pigments(path)


def test_pigment_tables_that_cannot_be_read(tmp_path):
    with pytest.raises(FileError, match="does not exist"):
        load_pigments(tmp_path / "missing.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(FileError, match="not a CSV file"):
        load_pigments(tmp_path / "binary.csv")


def write_table(path, rows):
    path.write_text("\n".join(",".join(map(str, row)) for row in rows))
    return path


def test_measured_table(tmp_path):
    spectra = pigments().spectra * 1000
    rows = [["energy_keV", "mine", "yours"], ["color", "#c82828", "#3c9650"]]
    rows += [
        [f"{energy:.5f}", a, b] for energy, a, b in zip(AXIS.energies, spectra[0], spectra[1], strict=True)
    ]
    made = read_measured_pigments(write_table(tmp_path / "spectra.csv", rows))
    assert made.names == ("mine", "yours")
    assert made.colors.tolist() == [[200, 40, 40], [60, 150, 80]]
    assert made.energy.width == pytest.approx(AXIS.width)
    assert np.allclose(made.spectra, spectra[:2])


def test_measured_folder(tmp_path):
    from napari_xrf.core.spectrum import Spectrum
    from napari_xrf.io import write

    for name, spectrum in zip("ab", pigments().spectra, strict=False):
        write(tmp_path / f"{name}.msa", Spectrum(np.round(spectrum * 1e5), AXIS))
    write_table(
        tmp_path / "colors.csv",
        [["name", "color", "file"], ["a", "#c82828", "a.msa"], ["b", "#3c9650", "b.msa"]],
    )
    made = read_measured_pigments(tmp_path)
    assert made.names == ("a", "b")
    assert np.allclose(made.spectra[1], np.round(pigments().spectra[1] * 1e5))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["x"]], "no table of pigment spectra"),
        ([["energy_keV"], ["color"], [1]], "holds no pigment"),
        ([["energy_keV", "a"], ["color", "#ffffff"]], "holds no spectrum"),
        ([["energy_keV", "a"], ["color", "white"], [0, 1], [1, 2]], "#rrggbb"),
        ([["energy_keV", "a"], ["color", "#ffffff"], [0, 1], [1, 2], [5, 1]], "even steps"),
        ([["energy_keV", "a"], ["color", "#ffffff"], [0, -1], [1, 2]], "none negative"),
        ([["energy_keV", "a"], ["color", "#ffffff"], [0, "many"], [1, 2]], "line 3"),
        ([["energy_keV", "a", "a"], ["color", "#ffffff", "#ffffff"], [0, 1, 1], [1, 2, 2]], "a stands twice"),
    ],
)
def test_bad_measured_tables_are_named(tmp_path, rows, message):
    with pytest.raises(FileError, match=message):
        read_measured_pigments(write_table(tmp_path / "spectra.csv", rows))


def test_bad_measured_folders(tmp_path):
    with pytest.raises(FileError, match="does not exist"):
        read_measured_pigments(tmp_path)
    write_table(tmp_path / "colors.csv", [["name", "color", "file"]])
    with pytest.raises(FileError, match="holds no pigment"):
        read_measured_pigments(tmp_path)
    write_table(tmp_path / "colors.csv", [["name", "color", "file"], ["a", "#ffffff", "../../secret.msa"]])
    with pytest.raises(FileError, match="outside the folder"):
        read_measured_pigments(tmp_path)
