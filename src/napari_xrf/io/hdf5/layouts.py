"""The layouts of HDF5 maps that are known, one row each, in the order in which they are tried.

A new layout is a new row of :data:`LAYOUTS`: which paths a file of it has, where the counts are, a letter for
each of their axes, and where calibration, times and positions stand. Only what no row can say (a shape hidden
in a scan command, axes that the file describes itself) is a function, in
:mod:`napari_xrf.io.hdf5.location`. The rows follow the writing code of the programs they name.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_xrf.io.calibration import Calibration
from napari_xrf.io.hdf5 import bliss as hdf5_bliss
from napari_xrf.io.hdf5 import description as hdf5_description
from napari_xrf.io.hdf5 import file as hdf5_file
from napari_xrf.io.hdf5 import location as locate
from napari_xrf.io.hdf5 import p06, phynx
from napari_xrf.io.hdf5.location import Location
from napari_xrf.io.hdf5.metadata import (
    CalibrationReader,
    PixelSizeReader,
    coefficients,
    energies,
    first_of,
    points,
    polynomial,
    positions,
    said_by_name,
    span,
    steps,
    steps_of,
    trajectories,
)


@dataclass(frozen=True)
class Layout:
    """One way in which programs lay out a map in HDF5. Paths may hold ``*``; see :mod:`.metadata`."""

    name: str  # what users see
    requires: tuple[str, ...] = ()  # paths that all stand in such a file, and paths of which none does
    forbids: tuple[str, ...] = ()
    # the counts, summed over detectors or of the only one; the first path that exists is taken
    total: tuple[str, ...] = ()
    # the counts of each detector: several datasets, or one with an axis ``d``; ``|`` parts patterns
    single: str = ""
    # A letter for each axis, one text for each number of dimensions that occurs: ``y`` ``x`` ``e`` (energy)
    # ``d`` (detector) ``s`` (scans) ``n`` (points)
    axes: tuple[str, ...] = ("yxe",)
    single_axes: tuple[str, ...] = ()
    # whether nothing but a name speaks for this layout, so that the counts must look like spectra
    bare: bool = False
    # finds the counts where paths cannot say it; replaces ``total``, ``single`` and ``axes``
    locate: Callable[[Any], list[Location]] | None = None
    # reads the energy axis where it stands elsewhere than in any file (``_STATED``)
    calibration: CalibrationReader | None = None
    live_time: str = ""  # path of the live times, ``{}`` for that of a detector, and seconds per their unit
    live_time_unit: float = 1.0
    # for points in one row: paths beside the counts, ``rows|columns``, of numbers of cells or positions
    grid: str = ""
    pixel_size: PixelSizeReader | None = None  # reads (dy, dx) in µm
    beam_energy: tuple[str, ...] = ()  # paths of the energy of a monochromatic beam
    sum_spectrum: str = ""  # path of a sum spectrum to compare with
    rows: str = ""  # path of the index of the last measured row
    # returns more arguments of ``SpectralCube``: name, excitation, elements
    details: Callable[[Any, str], Mapping[str, Any]] = field(default=hdf5_description.nothing)

    def energies(self, file: Any, at: str, size: int) -> Calibration | None:
        """Return the energy axis of the counts at a path; InvalidInput where what is said makes no sense."""
        own = (self.calibration,) if self.calibration else ()
        return first_of(*own, _STATED)(file, at, size)

    def find(self, file: Any) -> list[Location]:
        """Return where an open file of this layout holds its maps; none when it is of another layout."""
        if any(not hdf5_file.exists(file, path) for path in self.requires):
            return []
        if any(hdf5_file.exists(file, path) for path in self.forbids):
            return []
        if self.locate is not None:
            return self.locate(file)
        single_axes = self.single_axes or self.axes
        return locate.by_paths(file, self.total, self.single, self.axes, single_axes, self.bare, self.grid)


# What any file may say of its counts' energies.
_STATED = first_of(
    polynomial("calibration", "{}@calibration", ".@calibration"),
    energies("energy", "energies", "channels", "../energy"),
    said_by_name,
)
_GSE_CALIBRATION = first_of(
    coefficients("energy@cal_offset", "energy@cal_slope", "energy@cal_quad"),
    coefficients(".@cal_offset", ".@cal_slope", ".@cal_quad"),
    energies("energy"),
)
# Of a detector in ``measurement``, or its ``data`` under ``instrument``; the elapsed time is the real one.
_BLISS_TIMES = "{}_live_time|{}_output_live_time|{}/../live_time|{}/../output_live_time"
_DIAMOND_BEAM = ("/*/instrument/DCM/energy", "/*/instrument/monochromator/energy", "/*/instrument/dcm/energy",
                 "/*/*/instrument/monochromator/energy", "/*/instrument/DCM/dcm_energy")  # fmt: skip

LAYOUTS = (
    Layout("napari-xrf", total=("/map/data/counts",), requires=("/map/data/energy",), locate=locate.own_cube),
    Layout(
        "GSE XRM map",
        requires=("/xrmmap/config", "/xrmmap/roimap"),
        total=("/xrmmap/mcasum/counts",),
        single="/xrmmap/mca[0-9]*/counts",
        calibration=_GSE_CALIBRATION,
        live_time="livetime",
        live_time_unit=1e-6,
        pixel_size=positions("/xrmmap/positions", "yxn", "mm"),
        rows="/xrmmap@Last_Row",
    ),
    Layout(
        "GSE XRM map v1",
        requires=("/xrfmap/config", "/xrfmap/roimap"),
        total=("/xrfmap/detsum/counts",),
        single="/xrfmap/det[0-9]*/counts",
        calibration=_GSE_CALIBRATION,
        live_time="livetime",
        live_time_unit=1e-6,
        pixel_size=positions("/xrfmap/positions", "yxn", "mm"),
        rows="/xrfmap@Last_Row",
    ),
    Layout(
        "PyXRF",
        forbids=("/xrfmap/roimap",),
        total=("/xrfmap/detsum/counts",),
        single="/xrfmap/det[0-9]*/counts",
        pixel_size=positions("/xrfmap/positions", "nyx", "um"),
        beam_energy=("/xrfmap/scan_metadata@instrument_mono_incident_energy",),
    ),
    Layout(
        "MAPS v10",
        total=("/MAPS/Spectra/mca_arr",),
        axes=("eyx",),
        calibration=first_of(
            polynomial("/MAPS/Spectra/Energy_Calibration"), energies("/MAPS/Spectra/Energy")
        ),
        live_time="/MAPS/Spectra/Elapsed_Livetime",
        pixel_size=steps("/MAPS/Scan/y_axis", "/MAPS/Scan/x_axis", "mm"),
        sum_spectrum="/MAPS/Spectra/Integrated_Spectra/Spectra",
    ),
    Layout(
        "MAPS v9",
        locate=locate.maps_v9,
        requires=("/MAPS/mca_arr",),
        calibration=first_of(polynomial("/MAPS/energy_calib"), energies("/MAPS/energy")),
        pixel_size=steps("/MAPS/y_axis", "/MAPS/x_axis", "mm"),
        sum_spectrum="/MAPS/int_spec",
    ),
    Layout(
        "MAPS raw",
        single="/MAPS_RAW/data_[a-z]",
        axes=("eyx",),
        calibration=hdf5_description.override_calibration,
        live_time="/MAPS_RAW/livetime",
        details=hdf5_description.override_details,
    ),
    Layout(
        "HyperSpy",
        locate=locate.hyperspy,
        requires=("/Experiments",),
        calibration=hdf5_description.hyperspy_calibration,
        pixel_size=hdf5_description.hyperspy_pixel_size,
        details=hdf5_description.hyperspy_details,
    ),
    Layout(
        "XProc",
        single="/raw/channel[0-9]*/spectra",
        pixel_size=steps("/mot1", "/mot2"),
        sum_spectrum="/raw/channel00/sumspec",
    ),
    Layout(
        "PyMca workspace",
        single="/*/instrument/detector_[0-9]*/data",
        locate=locate.pymca_workspace,
        live_time="live_time",
        pixel_size=steps("map/dim0", "map/dim1", "um"),
    ),
    Layout("Xspress3 raw", locate=locate.xspress3),
    Layout("PyMca stack", locate=locate.pymca_stack),
    Layout(
        "Diamond I18",
        total=("/entry1/instrument/xspress3/AllElementSum", "/entry1/xspress3/AllElementSum"),
        single="/entry1/instrument/xspress3/MCAs",
        axes=("yxe", "ne"),
        single_axes=("yxde", "nde"),
        beam_energy=_DIAMOND_BEAM,
    ),
    Layout(
        "Diamond I13",
        single="/entry1/instrument/xmapMca/fullSpectrum",
        axes=("yxde", "nde"),
        beam_energy=_DIAMOND_BEAM,
    ),
    Layout(
        "Diamond I14",
        total=("/entry/xsp3_addetector/data",),
        axes=("yxe", "yxde"),
        beam_energy=_DIAMOND_BEAM,
    ),
    Layout(
        "NXfluo",
        locate=locate.nxfluo,
        calibration=energies("energy", "/*/fluo_entry/data/energy"),
        pixel_size=steps("/*/fluo_entry/data/y", "/*/fluo_entry/data/x"),
        beam_energy=_DIAMOND_BEAM,
    ),
    Layout(hdf5_bliss.LAYOUT, locate=hdf5_bliss.locate, live_time=_BLISS_TIMES),
    Layout(phynx.LAYOUT, locate=phynx.locate, calibration=phynx.calibrated),
    Layout(
        "XRDXRFutils",
        requires=("/calibration",),
        total=("/data",),
        bare=True,
        calibration=first_of(
            polynomial("/calibration/opt", reverse=True),
            polynomial("/calibration@opt", reverse=True),
            energies("/x"),
        ),
    ),
    Layout("XISMuS", total=("/dataset_1",), bare=True, calibration=points("/@calibration")),
    Layout("ganX", total=("/img",), bare=True, calibration=span(0.5, 38.5)),
    Layout("PyMca bare stack", total=("/data",), bare=True),
    Layout(
        "NanoMAX",
        # the last are of older files
        single="/entry*/measurement/xspress3*/data|/entry*/measurement/x3mini*/data"
        "|/entry*/measurement/xspress3*/frames",
        axes=("nde", "yxde"),
        grid="../pseudo/y|../pseudo/x",
        beam_energy=("/entry/snapshot/energy",),
    ),
    # The places of the points stand in other files (:mod:`.p06`); without these they are a row.
    Layout(p06.LAYOUT, single=p06.CHANNELS, axes=("ne",)),
    Layout(
        "SOLEIL",
        locate=locate.soleil,
        pixel_size=trajectories("actuator_*|trajectory_*", "mm"),
    ),
    Layout(
        "APS 2D Scan",
        single="/2D Scan/MCA [0-9]*",
        pixel_size=steps("/2D Scan/Y Positions", "/2D Scan/X Positions", "mm"),
    ),
    Layout(  # as SMAK reads them
        "CLS BioXAS",
        single="/Data/Mono_Energy_[0-9]*/Full/vortex_[0-9]*",
        pixel_size=steps("../../Support/rows", "../../Support/cols", "mm"),
    ),
    Layout("CLS", single="/mono_[0-9]*/vortex_[0-9]*"),
    Layout("Sirius", single="/*-norm/channel[0-9]*", pixel_size=steps("szpos", "sxpos")),
    Layout("SMAK", single="/main/mcadata", axes=("ne",)),
    Layout(
        "Oxford h5oina",
        single="/[0-9]*/EDS*/Data/Spectrum",
        axes=("ne", "yxe"),
        grid="../Header/Y Cells|../Header/X Cells",
        calibration=coefficients("../Header/Start Channel", "../Header/Channel Width", units="eV"),
        live_time="Live Time",
        pixel_size=steps_of("../Header/Y Step", "../Header/X Step"),
        details=hdf5_description.oxford_details,
    ),
    Layout("Bruker Crono", locate=locate.crono, calibration=energies("EnergyVector")),
    Layout(
        "EDAX APEX",
        locate=locate.edax,
        calibration=hdf5_description.edax_calibration,
        pixel_size=steps_of("SPD@MicronPerPixelY", "SPD@MicronPerPixelX"),
    ),
    Layout(
        "NeXus",
        locate=locate.nexus,
        calibration=first_of(
            energies("energy", "mca_energy", "*[Ee]nergy*"), polynomial("calibration"), energies("*channel*")
        ),
        live_time="live_time",
        pixel_size=steps("y", "x"),
        beam_energy=_DIAMOND_BEAM,
        details=hdf5_description.nexus_details,
    ),
    Layout(
        "spectra beside energies",
        locate=locate.beside_energies,
        calibration=energies("*[Ee][Nn][Ee][Rr][Gg]*"),
        pixel_size=steps("y", "x"),
    ),
)


def is_spectral_map(path: str | Path) -> bool:
    """Tell whether an HDF5 file has a known layout of spectra."""
    with hdf5_file.opened(path) as file:
        return recognised(file) is not None


def recognised(file: Any) -> tuple[Layout, list[Location]] | None:
    """Return the first layout that an open file has, and its maps; None for no known layout."""
    for layout in LAYOUTS:
        found = layout.find(file)
        if found:
            locate.check_number(file, max(len(one.names) for one in found))
            return layout, found
    return None
