"""Synthetic maps of paintings from a photograph: the algorithm of ganX, with totals that may vary.

Bombini, *ganX - generate artificially new XRF* (arXiv:2304.14078): the image's colours are clustered, each
colour is a mixture of the pigments it resembles, and each pixel draws its counts from that mixture's
spectrum. Poisson and luminosity-dependent totals are that paper's own outlook.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.label_map import LabelClass, LabelMap
from napari_xrf.core.memory import budget_of
from napari_xrf.core.parameters import Choices, Limits, parameters
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import AuxiliaryImage, Excitation, Provenance, SpectralCube
from napari_xrf.synthesis.color_clusters import ClusterParameters, ColorClusters, cluster_colors, rgb_image
from napari_xrf.synthesis.color_similarity import SIMILARITIES, color_similarity, luminance, threshold_weights
from napari_xrf.synthesis.distorted_spectra import MineralCounts
from napari_xrf.synthesis.distortion_values import DistortionValues, FwhmOfEnergy
from napari_xrf.synthesis.distortions import Distortions, draw_map_values
from napari_xrf.synthesis.drawn_counts import DrawnCounts, draw_counts, make_alias_tables
from napari_xrf.synthesis.pigments import PigmentSpectra
from napari_xrf.synthesis.sampling import count_dtype, draw_poisson, draw_seed

TOTALS = ("fixed", "poisson", "luminosity")
WEIGHTINGS = ("fixed", "learned")
_NAME = "synthetic painting"  # of the map, its truth and its line counts

Weighting = Callable[[NDArray[np.float64], PigmentSpectra, np.random.Generator], NDArray[np.float64]]
"""From colours (K, 3), sRGB from 0 to 255, to the weights (K, P) of the pigments' spectra in each."""


@parameters
class PaintingParameters:
    """How a painting's counts follow from its colours.

    Attributes
    ----------
    counts_per_pixel
        Counts of each pixel, or their mean where the total is Poisson; mean over the image where it
        follows the luminosity.
    totals
        ``"fixed"``: the same in every pixel; ``"poisson"``: Poisson with the same mean; ``"luminosity"``:
        Poisson with a mean that grows with the colour's luminance.
    luminosity_contrast
        Ratio of the mean counts of white over those of black, for ``"luminosity"``.
    weighting
        How a colour's pigments are chosen: ``"fixed"`` by similarity and threshold, as ganX does;
        ``"learned"`` by the painting generator, which mixes a few of them to the colour.
    similarity
        Of fixed weighting: measure of :func:`~napari_xrf.synthesis.color_similarity.color_similarity`.
    threshold
        Of fixed weighting: pigments whose similarity to a colour is not above it take no part in that colour.
    clusters
        How colours are found.
    pixel_size
        (dy, dx) in µm.
    with_expected
        Whether the map without counting noise is given too: the expected counts of each pixel.
    """

    counts_per_pixel: Annotated[float, Limits(0, 1e6)] = 400.0
    totals: Annotated[str, Choices(TOTALS)] = "fixed"
    luminosity_contrast: Annotated[float, Limits(0.01, 100)] = 3.0
    weighting: Annotated[str, Choices(WEIGHTINGS)] = "fixed"
    similarity: Annotated[str, Choices(tuple(SIMILARITIES))] = "ciede2000"
    threshold: Annotated[float, Limits(0, 1)] = 0.6
    clusters: ClusterParameters = field(default_factory=ClusterParameters)
    pixel_size: Annotated[tuple[float, float], Limits(1e-3, 1e6, "µm", ordered=False)] = (500.0, 500.0)
    with_expected: bool = False

    def __post_init__(self) -> None:
        if self.totals == "fixed" and self.counts_per_pixel != round(self.counts_per_pixel):
            raise InvalidInput(
                f"counts per pixel must be a whole number in a fixed total, not {self.counts_per_pixel}"
            )


@dataclass(frozen=True, eq=False)
class SyntheticPainting:
    """A synthetic map of a painting and everything that is known about it."""

    cube: SpectralCube  # the map, with the photograph beside it
    truth: LabelMap  # the colour of each pixel; class k + 1 is colour k, named after its pigments
    weights: NDArray[np.float64]  # (K, P) share of each pigment in each colour, summing to 1 over P
    pigments: tuple[str, ...]  # P names
    clusters: ColorClusters  # the colours
    # Expected counts of every line family, with errors of 0, or None where the pigments' spectra do not tell
    # them
    line_counts: ElementMaps | None
    parameters: Mapping[str, Any]  # all that made the map, as JSON takes it
    # "expected", the same map without counting noise, float32, where it was asked for
    companions: Mapping[str, SpectralCube]

    def pigment_maps(self) -> NDArray[np.float32]:
        """Return the share of each pigment in each pixel, (Y, X, P)."""
        return self.weights.astype(np.float32)[self.clusters.labels]

    def truth_entries(self) -> dict[str, Any]:
        """Return the truth by name, for :func:`napari_xrf.io.own.cube_files.write_cube`."""
        entries = {
            "labels": self.truth,
            "abundances": self.pigment_maps(),
            "pigment_weights": self.weights,
            "colors": self.clusters.colors,
            "parameters": dict(self.parameters),
        }
        return entries if self.line_counts is None else {**entries, "line_counts": self.line_counts}


def synthesize_painting(
    image: NDArray[Any],
    pigments: PigmentSpectra,
    *,
    generator: np.random.Generator,
    parameters: PaintingParameters | None = None,
    weighting: Weighting | None = None,
    distortions: Distortions | None = None,
    fwhm: FwhmOfEnergy | None = None,
    excitation: Excitation | None = None,
    memory_budget: int | None = None,
    progress: Progress = ignore_progress,
) -> SyntheticPainting:
    """Make a map of a painting from its photograph.

    Raises InvalidInput when the image has no colours, a parameter is out of range, the learned weighting or
    a width is missing, or totals are fixed that distortions would change.

    Parameters
    ----------
    image
        (Y, X, 3) sRGB, as :func:`~napari_xrf.synthesis.color_clusters.rgb_image` takes it.
    pigments
        Of :func:`~napari_xrf.synthesis.pigments.expect_pigments`, or measured ones. Only the shapes of
        their spectra count.
    generator
        The same state gives the same map, whatever the number of cores.
    weighting
        What weights the pigments where ``parameters.weighting`` is ``"learned"``.
    distortions
        Ranges from which the map's distortions are drawn; Bragg peaks go with the colours.
    fwhm
        Width of the detector's peaks, keV at keV; needed by some distortions.
    excitation
        For the cube.
    memory_budget
        Bytes that the counts may take in memory; a larger map stays undrawn and draws what is read.
    """
    chosen = parameters or PaintingParameters()
    if distortions is not None and chosen.totals == "fixed":
        raise InvalidInput(
            "distortions change how much is counted, and the totals are fixed",
            "Choose poisson or luminosity for the totals",
        )
    clustering, noise, choosing, distortion = generator.spawn(4)
    weigh = _weighting(chosen, weighting)
    clusters = cluster_colors(image, generator=clustering, parameters=chosen.clusters, progress=progress)
    weights = weigh(clusters.colors, pigments, choosing)
    seed = draw_seed(noise)
    colored = _Colored(clusters, weights, pigments, chosen)
    if distortions is None:
        drawn, undrawn = _counts(colored, seed)
    else:
        distorted = _distorted(colored, seed, draw_map_values(distortions, clusters.labels, distortion), fwhm)
        drawn, undrawn = distorted.drawn(), distorted.undrawn()
    budget = budget_of(memory_budget)
    budget //= 1 + chosen.with_expected
    photograph = AuxiliaryImage("photograph", rgb_image(image).round().astype(np.uint8), chosen.pixel_size)
    cube = SpectralCube(
        drawn.load_within(budget, progress),
        pigments.energy,
        name=_NAME,
        pixel_size=chosen.pixel_size,
        excitation=excitation or Excitation(),
        images=(photograph,),
        provenance=Provenance(layout="synthetic"),
    )
    truth, lines, described = _label(colored), _line_counts(colored), _described(colored, seed, distortions)
    beside = {}
    if chosen.with_expected:
        counts = undrawn.load_within(budget, progress)
        beside["expected"] = replace(cube, counts=counts, name=f"{_NAME} (expected)")
    return SyntheticPainting(cube, truth, weights, pigments.names, clusters, lines, described, beside)


def _weighting(chosen: PaintingParameters, learned: Weighting | None) -> Weighting:
    """Return what weights the pigments in each colour: what was learned, or their similarity."""
    if chosen.weighting != "learned":
        return lambda colors, pigments, _: threshold_weights(
            color_similarity(colors, pigments.colors, chosen.similarity), chosen.threshold
        )
    if learned is None:
        raise InvalidInput("the learned weighting needs a painting generator", "Give one as weighting")
    return learned


def color_spectra(weights: NDArray[np.float64], pigments: PigmentSpectra) -> NDArray[np.float64]:
    """Return the distributions (K, E), summing to 1, of colours that are mixtures (K, P) of pigments."""
    shapes = pigments.spectra / pigments.spectra.sum(axis=1, keepdims=True)
    mixed = weights @ shapes
    return mixed / mixed.sum(axis=1, keepdims=True)


class _Colored(NamedTuple):
    """The colours of a painting, and the weights (K, P) of the pigments in each."""

    clusters: ColorClusters
    weights: NDArray[np.float64]
    pigments: PigmentSpectra
    chosen: PaintingParameters


def _described(colored: _Colored, seed: int, distortions: Distortions | None) -> dict[str, Any]:
    """Return all that made a painting, as JSON takes it."""
    return {
        "recipe": "painting",
        **asdict(colored.chosen),
        "seed": str(seed),
        "pigments": list(colored.pigments.names),
        "pigment_colors": colored.pigments.colors.tolist(),
        "silhouette": colored.clusters.silhouette,
        "distortions": None if distortions is None else asdict(distortions),
    }


def _counts(colored: _Colored, seed: int) -> tuple[DrawnCounts, DrawnCounts]:
    """Return the counts of a painting, drawn and expected."""
    clusters, weights, pigments, chosen = colored
    shares = color_spectra(weights, pigments)
    tables = make_alias_tables(shares)
    labels = clusters.labels.reshape(-1)
    totals = _totals(clusters, chosen, seed)
    # A pixel may put all its counts into one channel.
    dtype = np.uint16 if totals.max(initial=0) < 2**16 else count_dtype(float(totals.max()))

    def draw(pixels: NDArray[np.intp]) -> NDArray[np.unsignedinteger[Any]]:
        return draw_counts(tables, labels[pixels], totals[pixels], seed, pixels, dtype)

    def expect(pixels: NDArray[np.intp]) -> NDArray[np.floating[Any]]:
        return shares[labels[pixels]] * totals[pixels, None]

    rows, columns = clusters.labels.shape
    shape = (rows, columns, pigments.energy.size)
    return DrawnCounts(shape, np.dtype(dtype), draw), DrawnCounts(shape, np.dtype(np.float32), expect)


def _distorted(
    colored: _Colored, seed: int, values: DistortionValues, fwhm: FwhmOfEnergy | None
) -> MineralCounts:
    """Return the counts of a painting whose recording is distorted: a pixel is all of one colour."""
    clusters, weights, pigments, chosen = colored
    spectra = color_spectra(weights, pigments) * _mean_totals(clusters, chosen)[:, np.newaxis]
    of_colors = np.eye(len(spectra), dtype=np.float32)[clusters.labels]
    return MineralCounts(of_colors, spectra.astype(np.float32), pigments.energy, seed, values, fwhm)


def _totals(clusters: ColorClusters, chosen: PaintingParameters, seed: int) -> NDArray[np.int64]:
    """Return the counts of each pixel, row by row."""
    means = _mean_totals(clusters, chosen)[clusters.labels.reshape(-1)]
    if chosen.totals == "fixed":
        return np.rint(means).astype(np.int64)
    # The totals have random numbers of their own, apart from those that choose the channels.
    return draw_poisson(means[:, np.newaxis], seed ^ 0x746F74616C73)[:, 0].astype(np.int64)


def _mean_totals(clusters: ColorClusters, chosen: PaintingParameters) -> NDArray[np.float64]:
    """Return the expected counts of a pixel of each colour, (K,)."""
    brightness = np.ones(len(clusters.colors))
    if chosen.totals == "luminosity":
        brightness += (chosen.luminosity_contrast - 1.0) * luminance(clusters.colors)
    return chosen.counts_per_pixel * brightness / brightness[clusters.labels].mean()


def _line_counts(colored: _Colored) -> ElementMaps | None:
    clusters, weights, pigments, chosen = colored
    names = tuple(sorted({family for families in pigments.families for family in families}))
    if not names:
        return None
    table = np.array([[families.get(each, 0.0) for each in names] for families in pigments.families])
    shares = table / pigments.spectra.sum(axis=1, keepdims=True)
    counts = (weights @ shares) * _mean_totals(clusters, chosen)[:, np.newaxis]
    maps = np.ascontiguousarray(np.moveaxis(counts.astype(np.float32)[clusters.labels], 2, 0))
    return ElementMaps(names, maps, np.zeros_like(maps), "truth", chosen.pixel_size, _NAME)


def _label(colored: _Colored) -> LabelMap:
    clusters, weights, pigments, chosen = colored
    classes = []
    for index, (color, shares) in enumerate(zip(clusters.colors, weights, strict=True)):
        main = [pigments.names[best] for best in np.argsort(-shares, kind="stable")[:3] if shares[best] > 0]
        red, green, blue = (round(float(value)) for value in color)
        title = f"colour {index + 1}: {' + '.join(main)}" + (" + …" if (shares > 0).sum() > 3 else "")
        classes.append(LabelClass(index + 1, title, color=f"#{red:02x}{green:02x}{blue:02x}"))
    labels = (clusters.labels + 1).astype(np.uint16)
    return LabelMap(labels, tuple(classes), pixel_size=chosen.pixel_size, source=_NAME)
