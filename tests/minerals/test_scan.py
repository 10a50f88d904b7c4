import numpy as np
import pytest

from napari_xrf.minerals.likelihood.scan import Scan


@pytest.fixture
def generator():
    return np.random.default_rng(0)


def directions(generator, size):
    return np.linalg.qr(generator.normal(size=(30, max(size, 1))))[0].T[:size]


def scan_of(spectra, variance, turned, weights):
    number = np.arange(len(spectra))
    return Scan(
        number,
        number,
        spectra.astype(np.float32),
        variance.astype(np.float32),
        tuple((rows / np.sqrt(d)).astype(np.float32) for rows, d in zip(turned, variance, strict=True)),
        tuple(each.astype(np.float32) for each in weights),
        1000.0,
    )


def test_scores_are_those_of_the_whole_covariance(generator):
    spectra = generator.dirichlet(np.ones(30), 3)
    variance = spectra * generator.uniform(1, 2, (3, 30)) + 1e-4
    weights = [generator.uniform(0.001, 5, size) for size in (20, 7, 0)]
    turned = [directions(generator, each.size) for each in weights]
    scan = scan_of(spectra, variance, turned, weights)
    counts = generator.poisson(generator.uniform(500, 5000, (8, 1)) * spectra[generator.integers(3, size=8)])
    expected = np.zeros((8, 3))
    for pixel, row in np.ndindex(8, 3):
        total = counts[pixel].sum()
        columns = np.sqrt(variance[row]) * np.sqrt(weights[row])[:, None] * turned[row]
        covariance = np.diag(variance[row]) + total * columns.T @ columns
        apart = counts[pixel] / total - spectra[row]
        _, size = np.linalg.slogdet(covariance)
        expected[pixel, row] = total * apart @ np.linalg.solve(covariance, apart) + size
    assert scan.scores(counts.astype(np.float32)) == pytest.approx(expected, rel=1e-4, abs=0.02)


def test_what_is_hopeless_is_not_looked_at_closely(generator, monkeypatch):
    few = generator.dirichlet(np.ones(30), 4)
    spectra = np.concatenate([0.97 * few + 0.03 * each for each in generator.dirichlet(np.ones(30), 4)])
    variance = spectra * generator.uniform(1, 2, spectra.shape) + 1e-4
    weights = [generator.uniform(0.001, 0.1, 12) for _ in spectra]
    scan = scan_of(spectra, variance, [directions(generator, 12) for _ in spectra], weights)
    mixed = generator.dirichlet(np.full(16, 0.05), 400) @ spectra
    dose = 1000 * generator.lognormal(0, 0.7, (400, 1))
    counts = generator.poisson(dose * mixed).astype(np.float32)
    counts[:2] = np.array([[0], [1]])
    counts[2] = 1e5 * spectra[2]
    exact = scan.scores(counts)
    asked = []
    add = Scan._add_directions
    monkeypatch.setattr(Scan, "_add_directions", lambda *given: asked.append(given[-1].sum()) or add(*given))
    found = scan.scores(counts, 50.0)
    best = exact.min(axis=1, keepdims=True)
    near = exact < best + 50
    assert sum(asked) < 0.7 * exact.size
    assert found[near] == pytest.approx(exact[near], rel=1e-4, abs=0.02)
    assert ((found - best)[~near] > 49.9).all()
