"""How alike two spectra, or two maps of spectra, are: the measures of the ganX paper (arXiv:2304.14078)."""

from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from scipy.spatial import distance

from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress

# Wang et al., IEEE Trans. Image Process. 13 (2004) 600: Gaussian window of 11 × 11 and σ 1.5, K1 and K2;
# Wang, Simoncelli & Bovik, Asilomar 2003: the weights of five scales.
_WINDOW_SIGMA = 1.5
_WINDOW_REACH = 5
_K1, _K2 = 0.01, 0.03
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_BAND_VALUES = 2_000_000
_MAXIMA = np.finfo(np.float64)


class Image(Protocol):
    """An image of which rows are read: an array, or a map that is flattened where it is looked at."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, columns)."""

    def __getitem__(self, rows: slice, /) -> Any:
        """Return some rows."""


def compare_histograms(first: ArrayLike, second: ArrayLike) -> dict[str, float]:
    """Return the seven measures of two spectra (E,), each normalised to a sum of 1.

    ``cosine``, ``jensen-shannon`` (natural logarithm), ``chebyshev``, ``correlation``, ``bray-curtis`` and
    ``chi-square`` are distances, 0 for equal spectra; ``bhattacharyya`` is a similarity, 1 for equal ones.
    The chi-square distance is the sum of (u − v)² / (u + v), from 0 to 2, which is how the paper's table goes
    together: that sum is at most 4 times the square of the Jensen–Shannon distance. Raises InvalidInput when
    the spectra differ in length, are negative or empty.
    """
    u, v = _normalised(first), _normalised(second)
    if u.shape != v.shape:
        raise InvalidInput(f"spectra of {u.size} and {v.size} channels cannot be compared")
    return {name: float(measure(u, v)) for name, measure in _HISTOGRAM_MEASURES.items()}


def flatten_cube(counts: ArrayLike) -> NDArray[np.float32]:
    """Return a map (Y, X, E) as the image (Y·X, E) of tanh(log(1 + counts)), which lifts low peaks."""
    cube = np.asarray(counts)
    flat = cube.reshape(-1, cube.shape[-1])
    return np.tanh(np.log1p(flat, dtype=np.float32))


def structural_similarity(
    first: Image, second: Image, data_range: float = 1.0, progress: Progress = ignore_progress
) -> float:
    """Return the mean SSIM of two images, 1 for equal ones.

    Wang et al., IEEE Trans. Image Process. 13 (2004) 600, with their Gaussian window; computed in bands of
    rows, so that memory is bounded whatever the images' size. Raises InvalidInput when the images differ in
    shape or are smaller than the window.
    """
    _check_images(first, second)
    return _mean_similarity(first, second, data_range, progress)[0]


def multiscale_similarity(
    first: Image, second: Image, data_range: float = 1.0, progress: Progress = ignore_progress
) -> float:
    """Return the multi-scale SSIM of two images, 1 for equal ones.

    Wang, Simoncelli & Bovik, Asilomar Conf. Signals Syst. Comput. 2003, 1398: contrast and structure on five
    scales, luminance on the last, each image halved by means of 2 × 2 pixels in between. Negative terms count
    0. Raises InvalidInput when the images differ in shape, or the fifth scale is smaller than the window (176
    pixels).
    """
    _check_images(first, second, 2 ** (len(_SCALE_WEIGHTS) - 1))
    product = 1.0
    for scale, weight in enumerate(_SCALE_WEIGHTS):
        whole, structure = _mean_similarity(first, second, data_range, progress)
        last = scale == len(_SCALE_WEIGHTS) - 1
        product *= max(whole if last else structure, 0.0) ** weight
        if not last:
            first, second = _halve(first), _halve(second)
    return product


def _normalised(spectrum: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(spectrum, dtype=np.float64)
    if values.ndim != 1 or not np.isfinite(values).all() or (values < 0).any() or values.sum() <= 0:
        raise InvalidInput("a spectrum to compare must be one row of counts, none negative, not all zero")
    return values / values.sum()


def _correlation(u: NDArray[np.float64], v: NDArray[np.float64]) -> float:
    a, b = u - u.mean(), v - v.mean()
    scale = np.sqrt((a @ a) * (b @ b))
    # Flat spectra have no correlation: equal ones differ by 0, others by 1.
    return float(1 - (a @ b) / scale) if scale > _MAXIMA.tiny else float(not np.allclose(u, v))


def _jensen_shannon(u: NDArray[np.float64], v: NDArray[np.float64]) -> float:
    return float(np.nan_to_num(distance.jensenshannon(u, v)))  # of equal ones the root of a rounding below 0


def _chi_square(u: NDArray[np.float64], v: NDArray[np.float64]) -> float:
    total = u + v
    inside = total > 0
    return float(((u - v)[inside] ** 2 / total[inside]).sum())


_HISTOGRAM_MEASURES = MappingProxyType(
    {
        "cosine": distance.cosine,
        "jensen-shannon": _jensen_shannon,
        "chebyshev": distance.chebyshev,
        "correlation": _correlation,
        "bray-curtis": distance.braycurtis,
        "chi-square": _chi_square,
        "bhattacharyya": lambda u, v: np.sqrt(u * v).sum(),
    }
)


def _check_images(first: Image, second: Image, scale: int = 1) -> None:
    if first.shape != second.shape or len(first.shape) != 2:
        raise InvalidInput(f"images of shapes {first.shape} and {second.shape} cannot be compared")
    least = scale * (2 * _WINDOW_REACH + 1)
    if min(first.shape) < least:
        raise InvalidInput(f"images of shape {first.shape} are too small", f"They need {least} × {least}")


def _mean_similarity(
    first: Image, second: Image, data_range: float, progress: Progress
) -> tuple[float, float]:
    """Return the means of SSIM, and of its contrast and structure alone, where the window lies inside."""
    rows, columns = first.shape
    reach = _WINDOW_REACH
    step = max(1, _BAND_VALUES // columns)
    whole, structure = 0.0, 0.0
    for start in range(reach, rows - reach, step):
        stop = min(start + step, rows - reach)
        band = slice(start - reach, stop + reach)
        inner = slice(reach, reach + stop - start), slice(reach, columns - reach)
        luminance, contrast = _similarity_terms(first[band], second[band], data_range)
        whole += float((luminance * contrast)[inner].sum())
        structure += float(contrast[inner].sum())
        progress(stop, rows, "comparing maps")
    number = (rows - 2 * reach) * (columns - 2 * reach)
    return whole / number, structure / number


def _similarity_terms(
    first: NDArray[np.floating], second: NDArray[np.floating], data_range: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    u, v = first.astype(np.float64), second.astype(np.float64)
    mean_u, mean_v = _window_mean(u), _window_mean(v)
    variances = _window_mean(u * u) - mean_u**2 + _window_mean(v * v) - mean_v**2
    covariance = _window_mean(u * v) - mean_u * mean_v
    c1, c2 = (_K1 * data_range) ** 2, (_K2 * data_range) ** 2
    luminance = (2 * mean_u * mean_v + c1) / (mean_u**2 + mean_v**2 + c1)
    return luminance, (2 * covariance + c2) / (variances + c2)


def _window_mean(image: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(ndimage.gaussian_filter(image, _WINDOW_SIGMA, radius=_WINDOW_REACH), dtype=np.float64)


def _halve(image: Image) -> NDArray[np.float32]:
    rows, columns = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
    halved = np.empty((rows // 2, columns // 2), dtype=np.float32)
    step = max(2, _BAND_VALUES // columns // 2 * 2)
    for start in range(0, rows, step):
        stop = min(start + step, rows)
        even = np.asarray(image[start:stop])[:, :columns]
        np.divide(
            even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2],
            4,
            out=halved[start // 2 : stop // 2],
            casting="same_kind",
        )
    return halved
