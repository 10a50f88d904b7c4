"""The Quantities dock: regions, classes, pixels, standards, and what it writes."""

import numpy as np
import pytest
from napari.layers import Layer

from docks import finish
from napari_xrf import io
from napari_xrf.cli import main
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.physics.excitation import excitation_of
from napari_xrf.physics.forward import simulate_spectrum
from napari_xrf.physics.instrument import load_instrument
from napari_xrf.plugin.docks.quantities import QuantitiesDock
from napari_xrf.plugin.layers.cubes import cube_layers
from napari_xrf.plugin.layers.element_maps import FAMILY_KEY
from napari_xrf.plugin.layers.script import recipe_of, script_of
from two_phase_maps import two_phase_cube


@pytest.fixture(scope="module")
def cube():
    """Return wollastonite above pyrite, 2 × 3 pixels."""
    instrument = load_instrument("m4-tornado")
    parts = [simulate_spectrum(formula, instrument, counts=1e5)[0].counts for formula in ("CaSiO3", "FeS2")]
    drawn = np.random.default_rng(0).poisson(np.array(parts)[:, None].repeat(3, axis=1)).astype(np.uint32)
    assert isinstance(instrument.energy, EnergyAxis)
    return SpectralCube(drawn, instrument.energy, "two", excitation=excitation_of(instrument))


@pytest.fixture
def widget(viewer, qtbot):
    made = QuantitiesDock(viewer)
    qtbot.addWidget(made)
    made.tick(["Si", "S", "Ca", "Fe"])
    return made


def test_a_whole_map_and_every_pixel(widget, viewer, qtbot, tmp_path):
    widget.pixels.setChecked(True)
    widget.run.click()
    finish(widget, qtbot)
    assert {row[1] for row in widget.table.rows()} >= {"Si", "S", "Ca", "Fe", "O"}
    calcium = next(layer for layer in viewer.layers if layer.metadata.get(FAMILY_KEY) == "Ca")
    assert calcium.data[0].mean() > 5 * abs(calcium.data[1].mean())
    files = widget.report.write(tmp_path)
    assert {"quantities.csv", "check.png", "weight_percent.h5"} <= {path.name for path in files}
    first, other = widget.maps.layer(), viewer.add_layer(Layer.create(*cube_layers(two_phase_cube()[0])[-1]))
    widget.maps.choose(other)  # nothing was found of it yet
    assert (widget.report, widget.table.rowCount(), widget.save_all.isEnabled()) == (None, 0, False)
    widget.maps.choose(first)
    assert widget.table.rowCount() >= 5


def test_regions_and_classes(widget, viewer, qtbot):
    widget.where.setCurrentText("Drawn regions")
    widget.run.click()  # nothing is drawn: one warning, no job
    assert widget.report is None
    viewer.add_shapes([[-0.4, -0.4], [-0.4, 2.4], [0.4, 2.4], [0.4, -0.4]], name="upper")
    widget.run.click()
    finish(widget, qtbot)
    (found,) = widget.report.quantities
    assert found["Ca"].weight_fraction > 0.25 > found["Fe"].weight_fraction
    viewer.add_labels(np.array([[1] * 3, [2] * 3]), name="phases")
    widget.where.setCurrentText("Classes of labels")
    widget.run.click()
    finish(widget, qtbot)
    assert len(widget.report.quantities) == 2


def test_standards_make_an_instrument(widget, qtbot, cube, tmp_path):
    assert not widget.save_instrument.isEnabled()
    top = SpectralCube(cube.counts[:1], cube.energy, "top", excitation=cube.excitation)
    io.write(tmp_path / "standard.h5", top)
    (tmp_path / "truth.csv").write_text("element,weight_percent\nCa,34.5\nSi,24.18\nO,41.32\n")
    widget.use_standards([(tmp_path / "standard.h5", tmp_path / "truth.csv")])
    widget.write_instrument_file(tmp_path / "mine.toml")
    finish(widget, qtbot)
    factors = load_instrument(tmp_path / "mine.toml").sensitivities
    assert factors.factor("Ca K") == pytest.approx(1, abs=0.1)
    widget.use_standards(())
    widget.instrument.set_text(str(tmp_path / "mine.toml"))
    widget.run.click()
    finish(widget, qtbot)
    assert widget.table.rowCount() >= 5


def test_what_was_quantified_is_a_script_and_a_recipe(make_napari_viewer, qtbot, cube, tmp_path):
    io.write(tmp_path / "two.h5", cube)
    top = SpectralCube(cube.counts[:1], cube.energy, "top", excitation=cube.excitation)
    io.write(tmp_path / "standard.h5", top)
    (tmp_path / "truth.csv").write_text("element,weight_percent\nCa,34.5\nSi,24.18\nO,41.32\n")
    viewer = make_napari_viewer()
    (layer,) = viewer.open(tmp_path / "two.h5", plugin="napari-xrf")
    dock = QuantitiesDock(viewer)
    qtbot.addWidget(dock)
    dock.tick(["Si", "S", "Ca", "Fe"])
    dock.use_standards([(tmp_path / "standard.h5", tmp_path / "truth.csv")])
    dock.pixels.setChecked(True)
    dock.run.click()
    finish(dock, qtbot)
    calcium = next(each for each in viewer.layers if each.metadata.get(FAMILY_KEY) == "Ca")
    values = {}
    exec(script_of([layer, calcium]), values)
    assert str(values["quantities"].rows) == str(dock.report.rows)  # some are not known
    assert "shape_mask" not in script_of([layer])  # nothing that is not used
    assert np.array_equal(values["maps"].counts[values["maps"].families.index("Ca")], calcium.data)
    (tmp_path / "recipe.toml").write_text(recipe_of([layer]))
    words = ["batch", "quantify", str(tmp_path / "two.h5"), "-o", str(tmp_path / "out")]
    assert main([*words, "--recipe", str(tmp_path / "recipe.toml")]) == 0
    dock.report.write(tmp_path)
    (made,) = (tmp_path / "out").glob("*/quantities.csv")
    assert made.read_bytes() == (tmp_path / "quantities.csv").read_bytes()

    dock.pixels.setChecked(False)
    dock.use_standards(())
    dock.where.setCurrentText("Drawn regions")
    viewer.add_shapes([[-0.4, -0.4], [-0.4, 2.4], [0.4, 2.4], [0.4, -0.4]], name="upper")
    dock.run.click()
    finish(dock, qtbot)
    exec(script_of([layer]), values)  # the table that is shown, and no other
    assert str(values["quantities"].rows) == str(dock.report.rows)
    assert recipe_of([layer]) == ""  # another map has other regions


def test_a_job_can_be_cancelled(widget, qtbot):
    widget.run.click()
    widget.job_bar.cancel()
    finish(widget, qtbot)
    assert widget.report is None
    assert widget.run.isEnabled()
