"""Rates of the synthesis recipes, beside what the published generators do.

Run alone on the machine: ``python benchmarks/synthesis_speed.py [--quick]``. ganX 0.0.2 makes about
0.6 million counts a second with 9 colours, MULTIEL_SPECTRA 11 spectra a second; the painting peer below is
ganX's sampling (its Algorithm 5) in numpy, run here and now on 64 × 64 pixels. The last column is what the
program's processor time alone would give on two cores, for machines that others use.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.io.own.cube_files import write_cube
from napari_xrf.physics.instrument import load_instrument
from napari_xrf.synthesis.color_clusters import ClusterParameters
from napari_xrf.synthesis.distorted_spectra import Mixture, draw_spectra
from napari_xrf.synthesis.distortion_values import detector_tables
from napari_xrf.synthesis.distortions import Distortions, distortion_steps, draw_values, typical_distortions
from napari_xrf.synthesis.layers import synthesize_layers
from napari_xrf.synthesis.mineral_map import PureSpectra, draw_mineral_map, expect_pure_spectra
from napari_xrf.synthesis.mixtures import synthesize_mixtures
from napari_xrf.synthesis.painting import PaintingParameters, synthesize_painting
from napari_xrf.synthesis.pegmatite import pegmatite_minerals, synthesize_pegmatite
from napari_xrf.synthesis.pigments import PigmentSpectra

GANX_COUNTS_PER_S = 0.6e6
MULTIEL_SPECTRA_PER_S = 11.0


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true", help="small sizes, for a first look")
    scale = 0.1 if options.parse_args().quick else 1.0
    pure = expect_pure_spectra(pegmatite_minerals(), load_instrument("m4-tornado"))
    row("what", "by the clock", "asked for", "processor time")
    training(pure, scale)
    layers(scale)
    mixtures(scale)
    painting(scale)
    pegmatite()
    whole_map(pure, scale)


def training(pure: PureSpectra, scale: float) -> None:
    for channels, asked in ((1024, 20_000), (4096, 5_000)):
        axis = EnergyAxis(pure.energy.offset, pure.energy.width * 4096 / channels, channels)
        rebinned = PureSpectra(pure.energy.rebin(pure.spectra, axis), axis, fwhm=pure.fwhm)
        size = int(asked * 2 * scale)
        for name, distortions, batch in (
            ("all distortions", typical_distortions(), size),
            ("no distortion", None, size),
            ("all, batches of 1024", typical_distortions(), 1024),
            ("all, batches of 256", typical_distortions(), 256),
        ):
            rate = best(partial(batches, rebinned, distortions, size, batch), size)
            row(
                f"training spectra, {channels} channels, {name}",
                f"{rate[0]:,.0f}/s",
                f"{asked:,}/s",
                f"{rate[1]:,.0f}/s",
            )


def batches(pure: PureSpectra, distortions: Distortions | None, size: int, batch: int) -> None:
    """Draw spectra of 100 to 10 000 counts as training does, each batch into the same array."""
    generator = rng()
    shapes = (pure.spectra / pure.spectra.sum(axis=1, keepdims=True)).astype(np.float32)
    tables = detector_tables(pure.energy, pure.fwhm)
    counts = np.empty((batch, pure.energy.size), dtype=np.uint16)
    for start in range(0, size, batch):
        part = min(batch, size - start)
        doses = np.exp(generator.uniform(np.log(100), np.log(10_000), size=(part, 1)))
        shares = np.eye(len(shapes))[generator.integers(len(shapes), size=part)]
        mixture = Mixture((doses * shares).astype(np.float32), shapes)
        steps = None
        if distortions is not None:
            values = draw_values(distortions, part, generator)
            steps = distortion_steps(tables, values, pure.fwhm, part)
        given = (None, None) if steps is None else (tables, steps)
        draw_spectra(mixture, np.arange(part), start, counts[:part], *given)


def layers(scale: float) -> None:
    size = int(50_000 * scale)
    rate = best(lambda: synthesize_layers(size, generator=rng()), size)
    per_s = MULTIEL_SPECTRA_PER_S
    row("layers, 300 channels", f"{rate[0]:,.0f}/s", f"{1000 * per_s:,.0f}/s", f"{rate[1]:,.0f}/s")
    row("   times MULTIEL_SPECTRA", f"{rate[0] / per_s:,.0f}", "1,000", f"{rate[1] / per_s:,.0f}")


def mixtures(scale: float) -> None:
    size = int(20_000 * scale)
    rate = best(lambda: synthesize_mixtures(size, load_instrument("gem"), generator=rng()), size)
    row("mixtures, GEM, 300 channels, augmented", f"{rate[0]:,.0f}/s", "", f"{rate[1]:,.0f}/s")


def painting(scale: float) -> None:
    side = int(512 * np.sqrt(scale))
    image, pigments = picture(side), nine_pigments()
    parameters = PaintingParameters(threshold=0.2, clusters=ClusterParameters(start=9, spread=0))
    made = []
    seconds = timed(
        lambda: made.append(
            synthesize_painting(image, pigments, generator=rng(), parameters=parameters, memory_budget=0)
        )
    )
    cube = made[0].cube
    counts = 400 * side * side
    rate = best(lambda: cube.load(10**11), counts)
    name = f"painting {side}×{side}×1024, {len(made[0].weights)} colours, counts"
    row(name, f"{rate[0] / 1e6:,.0f} M/s", "60 M/s", f"{rate[1] / 1e6:,.0f} M/s")
    ganx = GANX_COUNTS_PER_S
    row("   times ganX", f"{rate[0] / ganx:,.0f}", "100", f"{rate[1] / ganx:,.0f}")
    peer = peer_rate(made[0].weights @ pigments.spectra)
    row("   times ganX's sampling in numpy, in this run", f"{rate[0] / peer:,.0f}", "")
    row("   finding its colours and weights", f"{seconds:.1f} s", "")


def pegmatite() -> None:
    seconds = timed(lambda: synthesize_pegmatite(generator=rng()))
    row("pegmatite 100×120×4096, forward model included", f"{seconds:.1f} s", "a few s")


def whole_map(pure: PureSpectra, scale: float) -> None:
    side = int(500 * np.sqrt(scale))
    for name, distortions in (("", None), (", all distortions", typical_distortions())):
        made = draw_mineral_map(
            pegmatite_minerals(),
            pure,
            generator=rng(),
            shape=(side, side),
            counts_per_pixel=1000,
            distortions=distortions,
            memory_budget=0,
        )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "map.h5"
            started = time.process_time()
            seconds = timed(
                lambda path=path, made=made: write_cube(path, made.cube, truth=made.truth_entries())
            )
            busy = (time.process_time() - started) / 2
            size = path.stat().st_size / 1e6
            row(f"{side}×{side}×4096 map written{name}", f"{seconds:.0f} s", "120 s", f"{busy:.0f} s")
            row("   its file", f"{size:,.0f} MB", "")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform != "darwin" else 2**30)
    row("   most memory of this program", f"{peak:.1f} GB", "")


def peer_rate(spectra: np.ndarray) -> float:
    """Return the counts per second of ganX's Algorithm 5: each colour drawn for all pixels, then masked."""
    pixels, counts = 64 * 64, 400
    generator = rng()

    def draw() -> None:
        for spectrum in spectra:
            drawn = generator.choice(spectrum.size, size=(pixels, counts), p=spectrum / spectrum.sum())
            histogram = np.zeros((pixels, spectrum.size))
            np.add.at(histogram, (np.arange(pixels)[:, np.newaxis], drawn), 1)

    return pixels * counts / timed(draw)


def picture(side: int) -> np.ndarray:
    generator = rng()
    patches = generator.choice(nine_pigments().colors / 255, size=(16, 16))
    repeat = -(-side // 16)
    image = np.repeat(np.repeat(patches, repeat, axis=0), repeat, axis=1)[:side, :side]
    return np.clip(image + generator.normal(0, 0.02, image.shape), 0, 1)


def nine_pigments() -> PigmentSpectra:
    generator = np.random.default_rng(9)
    colors = generator.uniform(20, 235, size=(9, 3))
    spectra = generator.exponential(size=(9, 1024)) ** 4
    return PigmentSpectra(tuple("abcdefghi"), colors, spectra, EnergyAxis(0.0, 0.04, 1024))


def best(work: Callable[[], object], amount: float) -> tuple[float, float]:
    """Return the best rate of three runs by the clock, and by processor time on two cores."""
    work()
    clock, processor = [], []
    for _ in range(3):
        started = time.process_time()
        clock.append(timed(work))
        processor.append((time.process_time() - started) / 2)
    return amount / min(clock), amount / min(processor)


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def rng() -> np.random.Generator:
    return np.random.default_rng(1)


def row(what: str, figure: str, asked: str, processor: str = "") -> None:
    print(f"{what:58s} {figure:>14s} {asked:>12s} {processor:>16s}", flush=True)


if __name__ == "__main__":
    main()
