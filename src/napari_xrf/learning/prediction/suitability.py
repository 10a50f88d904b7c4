"""Whether a model was trained for an instrument like the one that measured a map. No torch here."""

from collections.abc import Sequence
from typing import Any, Literal

from napari_xrf.core.constants import MN_KA_KEV
from napari_xrf.core.spectral_cube import Excitation
from napari_xrf.learning.description import ModelDescription
from napari_xrf.maps.calibrated_map import CalibratedMap, Measured, cube_of
from napari_xrf.physics.excitation import COARSE_FWHM_EV, excitation_of, instrument_of
from napari_xrf.physics.instrument import Instrument, load_instrument

_PRESETS_OF_SOURCE = {"minerals": ("m4-tornado",), "mixtures": ("gem",)}  # where options name none
_RANDOM = ("instruments", "mineral-instruments")  # sources of random instruments
_KINDS_OF_SOURCE = {  # of a source without presets
    "lines": {"tube"},
    **{kind: {"tube", "electron", "monochromatic"} for kind in _RANDOM},
}
_FWHM_OF_SOURCE = {kind: [110.0, 190.0] for kind in _RANDOM}
_KINDS = {"tube": "X-ray tubes", "electron": "electrons", "monochromatic": "monochromatic beams"}
_NEAR = 1.6  # ratio of resolutions
_NEAR_BEAM = 1.3  # of energies: 40 kV are much like 50, 28 are not


def unsuited_to(description: ModelDescription, measured: Measured) -> tuple[str, ...]:
    """Return why a model's answers on a map are not to be trusted, in sentences; empty if fit.

    What excited it is what its file states, or else what the soft counts of a calibrated one show; where
    neither tells, it does not speak against a model.
    """
    cube = cube_of(measured)
    if cube.excitation.kind is None and isinstance(measured, CalibratedMap):
        return unsuited(description, measured.instrument, "soft counts" if measured.setting.kind else None)
    found = unsuited(description, instrument_of(cube), "file" if cube.excitation.kind else None)
    return found + (() if found else _of_another_beam(description, cube.excitation))


def unsuited(
    description: ModelDescription,
    instrument: Instrument,
    told_by: Literal["file", "soft counts"] | None = "file",
) -> tuple[str, ...]:
    """Return why a model's answers on an instrument are not to be trusted, in sentences; empty if fit.

    ``told_by``: what tells how it excites; where that is a default, it does not speak against a model.
    """
    trained = [load_instrument(name) for name in _presets(description)]
    kinds = {str(excitation_of(each).kind) for each in trained}
    kinds |= _KINDS_OF_SOURCE.get(description.source_kind, set())
    kind = excitation_of(instrument).kind
    found = []
    if told_by and kinds and kind is not None and kind not in kinds:
        seen = "" if told_by == "file" else f"judging by its {told_by} "
        found.append(
            f"{description.name} was trained for {_listed(kinds)}, and {seen}this map was excited by "
            f"{_KINDS[kind]}: do not trust its answers"
        )
    fwhm = _fwhm(instrument)
    known = [_fwhm(each) for each in trained] + _FWHM_OF_SOURCE.get(description.source_kind, [])
    if known and not any(each / _NEAR <= fwhm <= each * _NEAR for each in known):
        found.append(
            f"{description.name} was trained for a resolution of {min(known):.0f} eV at Mn Kα, and this "
            f"detector has {fwhm:.0f}: do not trust its answers"
        )
    return tuple(found)


def _of_another_beam(description: ModelDescription, stated: Excitation) -> tuple[str, ...]:
    """Return a sentence where a file states a beam of another energy, or anode, than a model was trained for.

    Models that learnt from random ones were trained for any.
    """
    beams = [excitation_of(load_instrument(name)) for name in _presets(description)]
    more: Sequence[Any] = description.source_options.get("tubes") or ()
    tubes = [Excitation("tube", float(kv), str(anode)) for anode, kv in more]
    trained = [each for each in (*beams, *tubes) if each.kind == stated.kind]
    if not trained or any(_is_alike(each, stated) for each in trained):
        return ()
    words = " and ".join(sorted({_words(each) for each in trained}))
    return (
        f"{description.name} was trained for {words}, and this map was excited by {_words(stated)}: "
        "do not trust its answers",
    )


def _is_alike(trained: Excitation, stated: Excitation) -> bool:
    """Tell whether a beam excites about what another one does, as far as it is stated."""
    assert trained.energy_kev is not None
    energy = stated.energy_kev or trained.energy_kev
    near = trained.energy_kev / _NEAR_BEAM <= energy <= trained.energy_kev * _NEAR_BEAM
    return near and stated.anode in (None, trained.anode)


def _words(beam: Excitation) -> str:
    energy = f"{beam.energy_kev:g} {'kV' if beam.kind == 'tube' else 'keV'}" if beam.energy_kev else ""
    named = f"tubes of {beam.anode}" if beam.anode else _KINDS[str(beam.kind)]
    return f"{named} at {energy}" if energy else named


def default_element_model(instrument: Instrument) -> str:
    """Return the shipped model that maps elements on such a detector."""
    return "lt-vit" if _fwhm(instrument) > COARSE_FWHM_EV else "element-mlp"


def _presets(description: ModelDescription) -> tuple[str, ...]:
    options = description.source_options
    if description.source_kind in _RANDOM:
        return ()
    if "instrument" in options:
        return (str(options["instrument"]),)
    names = options.get("instruments", _PRESETS_OF_SOURCE.get(description.source_kind, ()))
    return tuple(map(str, names or ()))


def _fwhm(instrument: Instrument) -> float:
    return 1000 * float(instrument.detector.fwhm(MN_KA_KEV))


def _listed(kinds: set[str]) -> str:
    return " and ".join(_KINDS[kind] for kind in sorted(kinds & set(_KINDS)))
