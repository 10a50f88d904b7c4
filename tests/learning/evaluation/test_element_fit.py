from __future__ import annotations

import numpy as np

from napari_xrf.learning.evaluation.element_fit import fit_element_spectra
from napari_xrf.learning.evaluation.presence_scores import rank_area
from napari_xrf.learning.evaluation.regression import score_regression
from napari_xrf.physics.instrument import load_instrument
from napari_xrf.synthesis.mixtures import MixtureParameters, synthesize_mixtures


def test_counts_and_presence_of_mixtures_are_found() -> None:
    gem = load_instrument("gem")
    parameters = MixtureParameters(elements=("Ca", "Fe", "Cu", "Pb"), counts=(3e4, 3e4), distortions=None)
    made = synthesize_mixtures(40, gem, generator=np.random.default_rng(0), parameters=parameters)
    found = fit_element_spectra(made.counts, made.energy, parameters.elements, [gem])
    assert score_regression(found.counts, made.net_counts).r2_uniform > 0.9
    assert rank_area(found.significance.ravel(), made.present.ravel()) > 0.9


def test_each_spectrum_takes_its_own_instrument() -> None:
    gem, m4 = load_instrument("gem"), load_instrument("m4-tornado")
    parameters = MixtureParameters(elements=("Fe", "Cu"), present=(1, 2), counts=(3e4, 3e4), distortions=None)
    made = synthesize_mixtures(6, gem, generator=np.random.default_rng(1), parameters=parameters)
    found = fit_element_spectra(made.counts, made.energy, parameters.elements, [m4, gem])
    # The first set of columns is that of the M4, whose peaks are an eighth as wide.
    assert (found.chosen > 0).all()
