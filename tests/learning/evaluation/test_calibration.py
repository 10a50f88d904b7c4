from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from napari_xrf.core.errors import InvalidInput
from napari_xrf.learning.evaluation.probability_calibration import fit_temperature, fit_thresholds


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_temperature_of_overconfident_presence_logits_is_found(temperature: float) -> None:
    generator = np.random.default_rng(1)
    honest = generator.normal(-1, 2, size=(4000, 5))
    labels = generator.random(honest.shape) < special.expit(honest)
    assert fit_temperature(honest * temperature, labels, "presence") == pytest.approx(temperature, rel=0.06)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_temperature_of_class_logits_is_found(temperature: float) -> None:
    generator = np.random.default_rng(2)
    honest = generator.normal(0, 2, size=(6000, 6))
    chance = special.softmax(honest, axis=1)
    labels = (generator.random((len(honest), 1)) > np.cumsum(chance, axis=1)).sum(axis=1)
    assert fit_temperature(honest * temperature, labels, "minerals") == pytest.approx(temperature, rel=0.06)


def test_a_perfect_validation_gives_the_smallest_temperature_and_not_infinity() -> None:
    labels = np.eye(3)
    assert 0.05 <= fit_temperature(20 * labels - 10, labels, "presence") < 0.06


@pytest.mark.parametrize(
    ("logits", "labels", "kind"),
    [
        (np.zeros((3, 2)), np.zeros((2, 2)), "presence"),
        (np.zeros((3, 2)), np.array([0, 1, 2]), "minerals"),
        (np.zeros((3, 2)), np.zeros((3, 2)), "lines"),
        (np.zeros((0, 2)), np.zeros((0, 2)), "presence"),
        (np.array([[np.nan]]), np.zeros((1, 1)), "presence"),
    ],
)
def test_what_cannot_be_fitted_is_refused(logits: np.ndarray, labels: np.ndarray, kind: str) -> None:
    with pytest.raises(InvalidInput):
        fit_temperature(logits, labels, kind)  # type: ignore[arg-type]


def test_thresholds_separate_names_that_speak_at_different_heights() -> None:
    generator = np.random.default_rng(3)
    labels = generator.random((500, 2)) < 0.4
    probability = np.where(labels, [0.3, 0.95], [0.1, 0.7]) + generator.normal(0, 0.01, size=(500, 2))
    low, high = fit_thresholds(np.clip(probability, 0, 1), labels)
    assert 0.12 < low < 0.29
    assert 0.72 < high < 0.94


def test_a_precision_is_kept_and_no_more_given_up_than_needed() -> None:
    generator = np.random.default_rng(4)
    probability = generator.random((20_000, 1))
    labels = generator.random((20_000, 1)) < probability
    (threshold,) = fit_thresholds(probability, labels, 0.9, shared=True)
    named = probability >= threshold
    assert labels[named].mean() == pytest.approx(0.9, abs=0.005)
    assert threshold == pytest.approx(0.8, abs=0.03)


def test_rare_names_share_a_threshold() -> None:
    generator = np.random.default_rng(5)
    labels = generator.random((400, 3)) < 0.5
    labels[:, 2] = False
    labels[0, 2] = True
    probability = np.clip(0.5 * labels + generator.uniform(0.1, 0.4, labels.shape), 0, 1)
    thresholds = fit_thresholds(probability, labels)
    assert thresholds[2] == fit_thresholds(probability, labels, shared=True)[0]


def test_thresholds_of_no_positives_are_a_half() -> None:
    assert fit_thresholds(np.full((5, 2), 0.3), np.zeros((5, 2))) == (0.5, 0.5)


@pytest.mark.parametrize("target", [0.0, 1.5, "recall"])
def test_targets_without_sense_are_refused(target: float) -> None:
    with pytest.raises(InvalidInput):
        fit_thresholds(np.full((5, 2), 0.3), np.ones((5, 2)), target)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]), st.booleans()), min_size=1, max_size=40
    )
)
def test_no_other_threshold_has_a_larger_f1(pairs: list[tuple[float, bool]]) -> None:
    probability = np.array([[value] for value, _ in pairs])
    labels = np.array([[yes] for _, yes in pairs])
    (threshold,) = fit_thresholds(probability, labels, shared=True)

    def f1(limit: float) -> float:
        named = probability >= limit
        return float(2 * (named & labels).sum() / max(named.sum() + labels.sum(), 1))

    if labels.any():
        assert f1(threshold) >= max(f1(limit) for limit in (0, 0.05, 0.15, 0.3, 0.6, 0.95)) - 1e-12
