from __future__ import annotations

import numpy as np
import pytest

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.learning.evaluation.line_fit import fit_line_spectra, line_columns
from napari_xrf.learning.evaluation.presence_scores import rank_area
from napari_xrf.synthesis.layers import synthesize_layers
from napari_xrf.synthesis.line_basis import BASIS_AXIS, BASIS_ELEMENTS, line_elements


def test_present_elements_get_more_counts_than_absent_ones() -> None:
    made = synthesize_layers(40, generator=np.random.default_rng(0))
    found = fit_line_spectra(made.spectra, made.energy)
    assert rank_area(found.significance.ravel(), (made.fractions > 0).ravel()) > 0.85


def test_iron_alone_is_iron() -> None:
    columns = line_columns(0.085)
    iron = columns.columns[np.flatnonzero(columns.owner == BASIS_ELEMENTS.index("Fe"))[0]]
    found = fit_line_spectra(np.tile(iron / iron.max(), (2, 1)), BASIS_AXIS)
    assert found.counts.argmax(axis=1).tolist() == [BASIS_ELEMENTS.index("Fe")] * 2
    assert found.counts.sum(axis=1) == pytest.approx(30_000, rel=0.02)


def test_whole_numbers_of_a_file_are_no_dose() -> None:
    made = synthesize_layers(4, generator=np.random.default_rng(1))
    whole = np.rint(made.spectra * 65535)
    assert fit_line_spectra(whole, made.energy).counts == pytest.approx(
        fit_line_spectra(made.spectra, made.energy).counts, rel=0.05, abs=20
    )


def test_amounts_of_elements_are_those_of_all_their_lines() -> None:
    amounts = np.arange(41.0)[np.newaxis]
    assert amounts[:, line_elements()].shape == (1, 556)
    assert set(amounts[:, line_elements()][0].tolist()) == set(range(41))


def test_other_axes_are_refused() -> None:
    with pytest.raises(InvalidInput, match="300 channels"):
        fit_line_spectra(np.ones((2, 300)), EnergyAxis(0.0, 0.05, 300))
