"""Maps as HyperSpy's .hspy, by RosettaSciIO's writer; HyperSpy itself is not needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.io.atomic_write import replacing

SUFFIX = ".hspy"
_KINDS = {"electron": "EDS_SEM"}  # of signal, as eXSpy names them


def write_hspy(path: Path, cube: SpectralCube) -> None:
    """Write a map, chunk by chunk, with calibrated axes and the beam where it is one of electrons."""
    from rsciio.hspy import file_writer

    dy, dx = cube.pixel_size or (1.0, 1.0)
    unit = "µm" if cube.pixel_size else None
    axes = [
        {"name": "y", "size": cube.shape[0], "scale": dy, "offset": 0.0, "units": unit, "navigate": True},
        {"name": "x", "size": cube.shape[1], "scale": dx, "offset": 0.0, "units": unit, "navigate": True},
        {"name": "Energy", "size": cube.shape[2], "scale": cube.energy.width, "offset": cube.energy.offset,
         "units": "keV", "navigate": False},
    ]  # fmt: skip
    beam = cube.excitation
    metadata: dict[str, Any] = {
        "General": {"title": cube.name},
        "Signal": {"signal_type": _KINDS.get(beam.kind or "", "")},
    }
    if beam.kind == "electron" and beam.energy_kev:
        metadata["Acquisition_instrument"] = {"SEM": {"beam_energy": beam.energy_kev}}
    signal = {
        "data": cube.to_dask(),
        "axes": axes,
        "metadata": metadata,
        "original_metadata": {},
        "attributes": {"_lazy": True, "ragged": False},
        "package_info": {"package": "hyperspy", "package_version": "2.0"},
        "learning_results": {},
        "tmp_parameters": {},
        "models": {},
    }
    with replacing(path) as temporary:
        temporary.unlink()  # the writer asks before it replaces a file
        file_writer(temporary, signal, show_progressbar=False)
