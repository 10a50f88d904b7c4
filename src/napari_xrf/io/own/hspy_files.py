"""Maps as HyperSpy's .hspy, version 3.3 of its format; HyperSpy itself is not needed."""

from typing import Any

from napari_xrf.core.spectral_cube import SpectralCube

SUFFIX = ".hspy"
_KINDS = {"electron": "EDS_SEM"}  # of signal, as eXSpy names them


def put_hspy(file: Any, cube: SpectralCube) -> Any:
    """Describe a map in an open HDF5 file; return the group whose dataset ``data`` is to hold the counts.

    Axes are calibrated, and the beam stands there where it is one of electrons.
    """
    file.attrs.update({"file_format": "HyperSpy", "file_format_version": "3.3"})
    group = file.create_group("Experiments").create_group(
        cube.name.replace("/", "-").strip(".") or "__unnamed__"
    )
    group.attrs.update({"package": "hyperspy", "package_version": "2.0"})
    dy, dx = cube.pixel_size or (1.0, 1.0)
    unit = {"units": "µm"} if cube.pixel_size else {}
    axes = [
        {"name": "y", "scale": dy, "offset": 0.0, "navigate": True, **unit},
        {"name": "x", "scale": dx, "offset": 0.0, "navigate": True, **unit},
        {"name": "Energy", "scale": cube.energy.width, "offset": cube.energy.offset, "units": "keV",
         "navigate": False},
    ]  # fmt: skip
    for number, (axis, size) in enumerate(zip(axes, cube.shape, strict=True)):
        group.create_group(f"axis-{number}").attrs.update({**axis, "size": size})
    for name in ("original_metadata", "learning_results"):
        group.create_group(name)
    group.create_group("attributes").attrs.update({"_lazy": False, "ragged": False})
    metadata, beam = group.create_group("metadata"), cube.excitation
    metadata.create_group("General").attrs["title"] = cube.name
    metadata.create_group("Signal").attrs["signal_type"] = _KINDS.get(beam.kind or "", "")
    if beam.kind == "electron" and beam.energy_kev:
        metadata.create_group("Acquisition_instrument/SEM").attrs["beam_energy"] = beam.energy_kev
    return group
