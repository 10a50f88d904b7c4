import dask.array
import numpy as np
import pytest

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import Cancelled, InvalidInput
from napari_xrf.core.spectral_cube import Excitation, SpectralCube
from napari_xrf.maps.calibrated_map import calibrate_map, find_elements
from napari_xrf.maps.fitted_spectrum import fit_sum
from napari_xrf.maps.pixels.element_mapping import map_elements
from simulated_maps import FAMILIES, simulate_map

AXIS = EnergyAxis(-0.955, 0.01, 2400)
ELEMENTS = ("Si", "S", "K", "Ca", "Ti", "Mn", "Fe", "Ni", "Cu", "Zn", "As", "Pb")


@pytest.fixture(scope="module")
def simulated():
    return simulate_map((40, 50), 3000, np.random.default_rng(0), axis=AXIS)


@pytest.fixture(scope="module")
def fitted(simulated):
    return map_elements(simulated.cube, ELEMENTS)


def test_fit_gives_every_family_of_the_elements(fitted):
    assert set(FAMILIES) <= set(fitted.families)
    assert fitted.method == "fit"
    assert fitted.counts.dtype == np.float32
    assert (fitted.counts >= 0).all()


def test_fitted_counts_agree_with_the_truth_within_their_errors(simulated, fitted):
    for k, family in enumerate(FAMILIES):
        errors = fitted.standard_errors[fitted.families.index(family)]
        pulls = (fitted[family] - simulated.truth[k]) / errors
        assert 0.8 < pulls.std() < 1.15, family
        assert abs(pulls.mean()) < 0.35, family


def test_windows_agree_with_the_truth_where_lines_stand_alone(simulated):
    maps = map_elements(simulated.cube, ["Ca", "Fe", "Cu"], method="window")
    assert maps.method == "window"
    for family in ("Fe K", "Ca K"):
        truth = simulated.truth[FAMILIES.index(family)]
        pulls = (maps[family] - truth) / maps.standard_errors[maps.families.index(family)]
        assert 0.8 < pulls.std() < 1.3
        assert abs((maps[family] - truth).mean()) < 0.06 * truth.mean()


def test_a_lazy_cube_gives_the_same_maps(simulated, fitted):
    cube = simulated.cube
    lazy = SpectralCube(
        dask.array.from_array(np.asarray(cube.counts), chunks=(7, 50, 2400)), AXIS, excitation=cube.excitation
    )
    np.testing.assert_allclose(map_elements(lazy, ELEMENTS).counts, fitted.counts, rtol=1e-4, atol=1e-2)


def test_a_channel_first_cube_gives_the_same_maps(simulated, fitted):
    first = np.ascontiguousarray(np.moveaxis(np.asarray(simulated.cube.counts), 2, 0))
    cube = SpectralCube(np.moveaxis(first, 0, 2), AXIS, excitation=simulated.cube.excitation)
    np.testing.assert_allclose(map_elements(cube, ELEMENTS).counts, fitted.counts, rtol=1e-4, atol=1e-2)


def test_the_zero_peak_changes_nothing(simulated, fitted):
    counts = np.array(simulated.cube.counts)
    counts[:, :, : AXIS.positive.start] += 50
    cube = SpectralCube(counts, AXIS, excitation=simulated.cube.excitation)
    np.testing.assert_allclose(map_elements(cube, ELEMENTS).counts, fitted.counts, rtol=1e-3, atol=0.05)


def test_single_families_can_be_chosen(simulated):
    maps = map_elements(simulated.cube, ["Pb L", "Fe"])
    assert maps.families == ("Pb L", "Fe K")


@pytest.mark.parametrize("named", [["Pb L"], ["Mn"]])
def test_what_shows_and_is_not_named_does_not_go_into_the_named(simulated, named):
    maps = map_elements(simulated.cube, named)
    assert {"As K", "Fe K"} <= set(maps.beside)
    assert not {*maps.families} & {*maps.beside}
    (family,) = maps.families
    pulls = (maps[family] - simulated.truth[FAMILIES.index(family)]) / maps.standard_errors[0]
    assert abs(pulls.mean()) < 0.35


def test_elements_are_found_where_none_are_named(simulated):
    known = calibrate_map(simulated.cube)
    maps = map_elements(known)
    assert {"Fe K", "Ca K", "Pb L", "As K", "Ti K"} <= set(maps.families)
    # What pixels add up to is what the sum spectrum shows, and lines that it does not show have no map.
    assert not {"As L", "Zn L"} & set(maps.families)
    for one in find_elements(known):
        own = [maps.families.index(family) for family in one.families]
        variance = np.square(maps.standard_errors[own], dtype=float).sum() + one.standard_error**2
        away = abs(maps.counts[own].sum(dtype=float) - one.net_counts)
        assert away < 3 * np.sqrt(variance) + 0.05 * one.net_counts, one.element


@pytest.mark.parametrize("excitation", [
    Excitation("electron", 20.0), Excitation("monochromatic", 18.0), Excitation(),
])  # fmt: skip
def test_other_excitations(excitation):
    simulated = simulate_map(
        (20, 20), 2000, np.random.default_rng(2), families=("Si K", "Ca K", "Fe K"),
        shares=np.array([5.0, 5, 5]), axis=AXIS, excitation=excitation,
    )  # fmt: skip
    maps = map_elements(simulated.cube, ["Si", "Ca", "Fe"])
    for k, family in enumerate(simulated.families):
        truth = simulated.truth[k].mean()
        assert abs(maps[family].mean() - truth) < 0.06 * truth


def test_pixels_without_counts_are_zero():
    simulated = simulate_map((12, 12), 2000, np.random.default_rng(3), axis=AXIS)
    counts = np.array(simulated.cube.counts)
    counts[3:5, 2:9] = 0
    maps = map_elements(SpectralCube(counts, AXIS, excitation=simulated.cube.excitation), ["Fe", "Ca"])
    assert not maps.counts[:, 3:5, 2:9].any()
    assert (maps.standard_errors > 0).all()


def test_a_cancel_stops_the_maps(simulated):
    def cancel(done, total, what):
        if what == "fitting pixels":
            raise Cancelled

    with pytest.raises(Cancelled):
        map_elements(simulated.cube, ["Fe"], progress=cancel)


@pytest.mark.parametrize("elements", [["Xx"], ["Fe Q"], ["H"], ["Fe", "Li"]])
def test_elements_that_cannot_be_mapped_are_refused(simulated, elements):
    with pytest.raises(InvalidInput):
        map_elements(simulated.cube, elements)


def test_a_map_without_counts_is_refused():
    with pytest.raises(InvalidInput, match="no counts"):
        map_elements(SpectralCube(np.zeros((2, 2, 2400), np.uint8), AXIS), ["Fe"])


def test_an_unknown_method_is_refused(simulated):
    with pytest.raises(InvalidInput, match="method"):
        map_elements(simulated.cube, ["Fe"], method="magic")


def test_the_fit_of_a_sum_leaves_only_noise(simulated):
    fit = fit_sum(simulated.cube, ELEMENTS)
    inside = np.isfinite(fit.residual)
    assert set(FAMILIES) <= set(fit.families)
    assert 0.7 < fit.residual[inside].std() < 1.6
    assert fit.model[inside].sum() == pytest.approx(simulated.cube.sum_spectrum()[inside].sum(), rel=0.01)
    assert (fit.continuum[inside] <= fit.model[inside] + 1e-6).all()
