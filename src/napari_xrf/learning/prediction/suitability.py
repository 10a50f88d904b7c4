"""Whether a model was trained for an instrument like the one that measured a map. No torch here."""

from typing import Literal

from napari_xrf.core.constants import MN_KA_KEV
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


def unsuited_to(description: ModelDescription, measured: Measured) -> tuple[str, ...]:
    """Return why a model's answers on a map are not to be trusted, in sentences; empty if fit.

    What excited it is what its file states, or else what the soft counts of a calibrated one show; where
    neither tells, it does not speak against a model.
    """
    cube = cube_of(measured)
    if cube.excitation.kind is None and isinstance(measured, CalibratedMap):
        return unsuited(description, measured.instrument, "soft counts" if measured.setting.kind else None)
    return unsuited(description, instrument_of(cube), "file" if cube.excitation.kind else None)


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
