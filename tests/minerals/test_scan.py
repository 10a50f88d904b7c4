import numpy as np
import pytest

from napari_xrf.minerals.likelihood.scan import Scan


def test_scores_are_those_of_the_whole_covariance():
    generator = np.random.default_rng(0)
    spectra = generator.dirichlet(np.ones(30), 3)
    variance = spectra * generator.uniform(1, 2, (3, 30)) + 1e-4
    weights = [generator.uniform(0.001, 5, size) for size in (20, 7, 0)]
    turned = [
        np.linalg.qr(generator.normal(size=(30, max(each.size, 1))))[0].T[: each.size] for each in weights
    ]
    scan = Scan(
        np.arange(3),
        np.arange(3),
        spectra.astype(np.float32),
        variance.astype(np.float32),
        tuple((rows / np.sqrt(d)).astype(np.float32) for rows, d in zip(turned, variance, strict=True)),
        tuple(each.astype(np.float32) for each in weights),
        1000.0,
    )
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
