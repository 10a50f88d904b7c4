"""A map with all that its sum spectrum tells, found once: axis, resolution, source and elements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.constants import MN_KA_KEV
from napari_xrf.core.display import html_of, spectrum_png
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.maps.calibration.axis_judgement import Calibration
from napari_xrf.maps.calibration.refinement import calibrate
from napari_xrf.maps.identification.elements import FoundElement, identify
from napari_xrf.maps.identification.explanation import Explanation, explain
from napari_xrf.maps.identification.judgement import ElementEvidence
from napari_xrf.maps.identification.unnamed_peaks import UnnamedPeak, unnamed_peaks
from napari_xrf.maps.spectra.blind_windows import blind_windows
from napari_xrf.maps.spectra.setting import Setting, setting_of
from napari_xrf.physics.detector.detector import Detector
from napari_xrf.physics.excitation import instrument_of
from napari_xrf.physics.instrument import Instrument

T = TypeVar("T")

_SOFTEST_KEV, _FEWEST_CHANNELS = 0.2, 10  # below it, no detector shows a line
_CLOSE_EV = 10.0  # from their lines, root mean square
_SHOWN = 0.9  # probability from which an element that is not named is fitted beside those that are


@dataclass(eq=False)
class _Told:
    """What the sum spectrum of a map has told so far; None: was not asked."""

    explained: Explanation | None = None  # large: until elements are sought
    evidence: tuple[ElementEvidence, ...] | None = None
    elements: tuple[FoundElement, ...] | None = None
    unnamed: tuple[UnnamedPeak, ...] = ()
    given: bool = False  # whether these were stated rather than found
    others: dict[str, Any] = field(default_factory=dict)  # by what they are


@dataclass(frozen=True, eq=False, repr=False)
class CalibratedMap:
    """A map, and what it was measured with; made by :func:`calibrate_map`.

    Attributes
    ----------
    cube
        The map as it was read; its energy axis is the file's own.
    calibration
        The refined axis and detector, and how they were found.
    setting
        Excitation, anode and scatter angle, detector, refined axis and the range to fit.
    sum_spectrum
        (E,) counts of all pixels.
    """

    cube: SpectralCube
    calibration: Calibration
    setting: Setting
    sum_spectrum: NDArray[np.float64]
    _told: _Told = field(default_factory=_Told, init=False)

    @property
    def energy(self) -> EnergyAxis:
        """The refined axis; the file's own where there was too little to refine it."""
        return self.calibration.energy

    @property
    def detector(self) -> Detector:
        """The detector with the refined resolution."""
        return self.calibration.detector

    @property
    def message(self) -> str:
        """What the calibration did, or why it did nothing."""
        return self.calibration.message

    @property
    def doubt(self) -> str:
        """Why what rests on the energy axis may be wrong; empty where nothing speaks for that."""
        known = self.calibration
        # An axis that nobody stated must fit well to be believed.
        loose = self.cube.provenance.energy_is_assumed and not known.quality < _CLOSE_EV
        return f"{self.message}; elements may be wrong" if known.doubtful or loose else ""

    @property
    def remedy(self) -> str:
        """What to do about a doubt."""
        return self.calibration.remedy or "Check the energy axis against known peaks"

    @property
    def holds_counts(self) -> bool:
        """Whether there are counts among the energies that are fitted."""
        return bool(self.sum_spectrum[self.setting.fitted].any())

    @cached_property
    def max_spectrum(self) -> NDArray[np.uint64]:
        """(E,) largest count of any pixel in each channel; read at first use."""
        return self.cube.max_spectrum()

    @cached_property
    def instrument(self) -> Instrument:
        """What the forward model needs, with the refined axis and detector."""
        excitation = self.cube.excitation
        if excitation.kind is None and self.setting.kind == "electron":  # inferred from soft counts
            excitation = replace(excitation, kind="electron", energy_kev=self.setting.highest_kev)
        measured_with = instrument_of(replace(self.cube, excitation=excitation))
        return replace(measured_with, energy=self.energy, detector=self.detector)

    @cached_property
    def on_refined_axis(self) -> SpectralCube:
        """The same counts on the refined axis."""
        return replace(self.cube, energy=self.energy)

    @property
    def elements(self) -> tuple[FoundElement, ...]:
        """What :func:`find_elements` finds, by rising atomic number."""
        return find_elements(self)

    @property
    def found(self) -> tuple[FoundElement, ...]:
        """Elements that were found of it already, by rising atomic number; nothing is sought."""
        return self._told.elements or ()

    @cached_property
    def blind_windows(self) -> tuple[str, ...]:
        """Which energies hold no counts though they hold many beside them, in a sentence, if any."""
        return blind_windows(self.sum_spectrum, self.setting)

    @property
    def unnamed_peaks(self) -> tuple[UnnamedPeak, ...]:
        """Peaks that hold much of the sum spectrum, and that no found element explains.

        Empty while nobody has sought the elements, and where they were given.
        """
        return self._told.unnamed

    @property
    def evidence(self) -> tuple[ElementEvidence, ...]:
        """What speaks for each element that explains the sum spectrum, whether or not it is reported."""
        if self._told.evidence is None:
            self._told.evidence = self.explained().weighed
        return self._told.evidence

    def explained(self, progress: Progress = ignore_progress) -> Explanation:
        """Return the sum spectrum explained, as the calibration did or as is done now."""
        if self._told.explained is None:
            listed = self.cube.elements
            self._told.explained = explain(self.sum_spectrum, self.setting, listed, progress=progress)
        return self._told.explained

    def shown(self, progress: Progress = ignore_progress) -> tuple[FoundElement, ...]:
        """Return the elements that were found, or at least those of the sum: pixels may be many."""
        found = self._told.elements
        return self.explained(progress).found if found is None else found

    def having(self, elements: tuple[FoundElement, ...]) -> CalibratedMap:
        """Return this map once more, of which these are the elements: they are not sought."""
        known = replace(self)
        known._told.elements, known._told.given = elements, True
        return known

    def of_cube(self, cube: SpectralCube, progress: Progress = ignore_progress) -> CalibratedMap:
        """Return another state of this map calibrated; as this one where elements were given with it."""
        if not self._told.given:
            return calibrate_map(cube, progress=progress)
        known = replace(self, cube=cube, sum_spectrum=cube.sum_spectrum(progress).astype(np.float64))
        return known.having(self.found)

    def once(self, what: str, find: Callable[[], T]) -> T:
        """Return what was found of this map before, or find it now."""
        if what not in self._told.others:
            self._told.others[what] = find()
        found: T = self._told.others[what]
        return found

    def __repr__(self) -> str:
        fwhm = 1000 * float(self.detector.fwhm(MN_KA_KEV))
        found = [entry.element for entry in self.found]
        elements = f"; {', '.join(found)}" if found else ""
        return f"<CalibratedMap of {self.cube!r}; {self.energy}, {fwhm:.0f} eV at Mn Kα{elements}>"

    def _repr_html_(self) -> str:
        total = spectrum_png(self.energy.energies, self.sum_spectrum)
        return html_of(f"{self!r} {self.message}", ("sum spectrum", total))

    def checked(self) -> CalibratedMap:
        """Return this map if it holds counts.

        Raises
        ------
        InvalidInput
            When there are none among the energies that are fitted.
        """
        if not self.holds_counts:
            low, high = self.setting.low, self.setting.high
            raise InvalidInput(f"the map {self.cube.name!r} holds no counts from {low:.2f} to {high:.2f} keV")
        return self


Measured = SpectralCube | CalibratedMap
"""What analyses take: a map as it was read, calibrated on the way, or one that is calibrated already."""


def calibrate_map(
    measured: Measured, *, calibration: Calibration | None = None, progress: Progress = ignore_progress
) -> CalibratedMap:
    """Refine the energy axis and the resolution of a map on its sum spectrum, and infer its source.

    ``measured``: a map; a calibrated one is returned as it is. ``calibration``: where it is known already.
    Raises InvalidInput when it has too few channels for a spectrum.
    """
    if isinstance(measured, CalibratedMap):
        return measured
    seen = int((measured.energy.energies > _SOFTEST_KEV).sum())
    if seen < _FEWEST_CHANNELS:
        raise InvalidInput(
            f"{measured.name!r} has {seen} channels above {_SOFTEST_KEV} keV, too few for a spectrum",
            "If its energies are others, give the right axis",
        )
    cube, spectrum = measured, measured.sum_spectrum(progress).astype(np.float64)
    progress(0, 1, "calibrating")
    known, explained = calibration, None
    if known is None:
        stated = cube.provenance.energy_is_stated
        known, explained = calibrate(spectrum, cube.energy, cube.excitation, cube.elements, stated, progress)
    setting = known.setting
    if setting is None:
        setting = setting_of(spectrum, cube.energy, cube.excitation).refined(known.energy, known.detector)
    progress(1, 1, "calibrating")
    found = CalibratedMap(cube, known, setting, spectrum)
    found._told.explained = explained
    return found


def cube_of(measured: Measured) -> SpectralCube:
    """Return the map as it was read."""
    return measured.cube if isinstance(measured, CalibratedMap) else measured


def find_elements(measured: Measured, *, progress: Progress = ignore_progress) -> tuple[FoundElement, ...]:
    """Find the elements of a map from its sum spectrum and from the pixels that stand out.

    The sum spectrum is calibrated, then explained by the elements that lower chi-square most, one after the
    other, with all their line families; stray peaks, scatter, escape and pile-up compete with them. An
    element is found when the model without it is improbable, given how common it is (the file's own
    list counts for it, but proves nothing). Then the same is done for the pixels in which a line
    stands out that the sum spectrum does not show. A calibrated map keeps what was found.

    Returns
    -------
    The elements by rising atomic number; empty for a map without counts.
    """
    known = calibrate_map(measured, progress=progress)
    told = known._told
    if told.elements is None:
        found: tuple[FoundElement, ...] = ()
        if known.holds_counts:
            explained = known.explained(progress)
            found = identify(known.cube, known.setting, explained, progress)
            told.evidence = explained.weighed
            if not known.doubt:
                stated = known.cube.excitation.anode is not None
                told.unnamed = unnamed_peaks(explained, {one.element for one in found}, stated)
        if known.doubt:  # on a wrong axis every name is wrong
            found = tuple(replace(one, probability=min(one.probability, 0.5)) for one in found)
        told.elements, told.explained = found, None
    return told.elements


def families_beside(
    known: CalibratedMap, families: Sequence[str] = (), progress: Progress = ignore_progress
) -> tuple[str, ...]:
    """Return the line families that a map surely shows beside some.

    Left out of a fit, their counts go to neighbours and to the continuum: 550 of S K that was not named took
    more than half of P K in a soil.
    """
    shown = (one for one in known.shown(progress) if one.probability > _SHOWN)
    return tuple(family for one in shown for family in one.families if family not in families)


def unseen_families(
    known: CalibratedMap, families: Sequence[str], *, progress: Progress = ignore_progress
) -> tuple[str, ...]:
    """Return those line families that do not stand out in a map's sum spectrum: their maps may be noise."""
    seen = {family for one in known.shown(progress) for family in one.families}
    return tuple(family for family in families if family not in seen)
