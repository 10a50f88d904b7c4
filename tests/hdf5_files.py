"""Small HDF5 files of every layout, one builder each, for the tests.

Every builder writes a file and returns what a reader must find in it: ``Expected``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import h5py
import numpy as np

SHAPE = (3, 4, 512)


@dataclass(frozen=True)
class Expected:
    """What a reader must find."""

    layout: str
    counts: np.ndarray
    energy: tuple[float, float] = (0.0, 0.01)
    pixel_size: tuple[float, float] | None = None
    detectors: dict[str, np.ndarray] = field(default_factory=dict)
    live_time: np.ndarray | None = None
    beam_kev: float | None = None
    warning: str = ""


def spectra(seed: int = 1, shape: tuple[int, ...] = SHAPE, rate: float = 0.5) -> np.ndarray:
    return np.random.default_rng(seed).poisson(rate, shape).astype(np.uint16)


def gse(path: Path) -> Expected:
    one, two = spectra(1), spectra(2)
    live = np.full(SHAPE[:2], 250_000, dtype=np.int64)
    live[1, 2] = 125_000
    with h5py.File(path, "w") as file:
        root = file.create_group("xrmmap")
        root.create_group("config")
        root.create_group("roimap")
        root.attrs["Last_Row"] = 1  # the third row was never measured
        for name, counts in (("mca1", one), ("mca2", two), ("mcasum", one + two)):
            group = root.create_group(name)
            group["counts"] = counts
            group["energy"] = -0.02 + 0.0125 * np.arange(SHAPE[2])
            group["energy"].attrs.update({"cal_offset": -0.02, "cal_slope": 0.0125, "cal_quad": 0.0})
            group["livetime"] = live
        x, y = np.meshgrid(np.arange(4) * 0.002, np.arange(3) * 0.005)
        clock = np.arange(12.0).reshape(3, 4)  # listed with the positions, moves more than they
        root["positions/pos"] = np.stack([x, y, clock], axis=-1)
        root["positions/name"] = np.array([b"Fine X", b"Fine Y", b"mca realtime"])
    return Expected(
        "GSE XRM map",
        (one + two)[:2],
        (-0.02, 0.0125),
        (5.0, 2.0),
        {"mca1": one[:2], "mca2": two[:2]},
        live[:2] * 1e-6,
        warning="taken as mm",
    )


def gse_v1(path: Path) -> Expected:
    one, two = spectra(1), spectra(2)
    with h5py.File(path, "w") as file:
        root = file.create_group("xrfmap")
        root.create_group("config")
        root.create_group("roimap")
        for name, counts in (("det1", one), ("det2", two), ("detsum", one + two)):
            root[f"{name}/counts"] = counts
            root[f"{name}/energy"] = 0.01 * np.arange(SHAPE[2])
    return Expected("GSE XRM map v1", one + two, detectors={"det1": one, "det2": two})


def pyxrf(path: Path) -> Expected:
    one, two = spectra(1), spectra(2)
    with h5py.File(path, "w") as file:
        for name, counts in (("det1", one), ("det2", two), ("detsum", one + two)):
            file[f"xrfmap/{name}/counts"] = counts.astype(np.float32)
        x, y = np.meshgrid(np.arange(4) * 1.5, np.arange(3) * 2.5)
        file["xrfmap/positions/pos"] = np.stack([x, y])
        file["xrfmap/positions/name"] = np.array([b"x_pos", b"y_pos"])
        file.create_group("xrfmap/scan_metadata").attrs.update(
            {"instrument_mono_incident_energy": 12.0, "param_dwell": 0.1}
        )
    return Expected(
        "PyXRF",
        one + two,
        pixel_size=(2.5, 1.5),
        detectors={"det1": one, "det2": two},
        beam_kev=12.0,
        warning="No energy calibration",
    )


def maps_v10(path: Path) -> Expected:
    counts = spectra(3)
    with h5py.File(path, "w") as file:
        group = file.create_group("MAPS/Spectra")
        group["mca_arr"] = np.moveaxis(counts, 2, 0).astype(np.float32)
        group["Energy"] = 0.01 + 0.02 * np.arange(SHAPE[2])
        group["Energy_Calibration"] = [0.01, 0.02, 0.0]
        group["Elapsed_Livetime"] = np.full(SHAPE[:2], 0.05)
        group["Integrated_Spectra/Spectra"] = counts.sum(axis=(0, 1)).astype(np.float64)
        file["MAPS/Scan/x_axis"] = np.arange(4) * 0.001
        file["MAPS/Scan/y_axis"] = np.arange(3) * 0.003
    return Expected(
        "MAPS v10", counts, (0.01, 0.02), (3.0, 1.0), live_time=np.full(SHAPE[:2], 0.05), warning="no unit"
    )


def maps_v9(path: Path) -> Expected:
    counts = spectra(3)
    with h5py.File(path, "w") as file:
        file["MAPS/mca_arr"] = np.moveaxis(counts, 2, 0)
        file["MAPS/energy"] = 0.02 * np.arange(SHAPE[2])
        file["MAPS/energy_calib"] = [0.0, 0.02, 0.0]
        file["MAPS/int_spec"] = counts.sum(axis=(0, 1))
    return Expected("MAPS v9", counts, (0.0, 0.02))


def maps_v9_energy_last(path: Path) -> Expected:
    counts = spectra(3)
    with h5py.File(path, "w") as file:
        file["MAPS/mca_arr"] = counts
        file["MAPS/energy"] = 0.02 * np.arange(SHAPE[2])
        file["MAPS/int_spec"] = counts.sum(axis=(0, 1)) + 500  # disagrees
    return Expected("MAPS v9", counts, (0.0, 0.02), warning="sum spectrum")


def maps_raw(path: Path) -> Expected:
    parts = {f"data_{letter}": spectra(seed) for seed, letter in enumerate("abcd")}
    live = np.random.default_rng(5).uniform(0.4, 0.6, (4, *SHAPE[:2])).astype(np.float32)
    with h5py.File(path, "w") as file:
        for name, counts in parts.items():
            file.create_dataset(
                f"MAPS_RAW/{name}", data=np.moveaxis(counts, 2, 0).astype(np.int16), chunks=(512, 1, 4)
            )
        file["MAPS_RAW/livetime"] = live
        file["MAPS_RAW/ouputcounts"] = live
    (path.parent / "maps_fit_parameters_override.txt").write_text(
        "   a comment\nELEMENTS_TO_FIT: Si, Fe, Au_L, Si_Si\nCAL_OFFSET_[E_OFFSET]: -0.005\n"
        "CAL_SLOPE_[E_LINEAR]: 0.0095\nCAL_QUAD_[E_QUADRATIC]: 0.0\nCOHERENT_SCT_ENERGY: 10.0\n"
    )
    total = sum(parts.values(), start=np.zeros(SHAPE, np.uint16))
    return Expected(
        "MAPS raw",
        total,
        (-0.005, 0.0095),
        detectors=parts,
        live_time=live.astype(float).mean(axis=0),
        beam_kev=10.0,
        warning="override",
    )


def hyperspy(path: Path) -> Expected:
    counts = spectra(4)
    with h5py.File(path, "w") as file:
        file.attrs.update({"file_format": "HyperSpy", "file_format_version": "3.1"})
        group = file.create_group("Experiments/a rock")
        group["data"] = np.moveaxis(counts, 2, 0)  # the axes tell the order, not the position
        axes = (
            ("Energy", False, 0.02, -0.1, "keV"),
            ("y", True, 2.0, 0.0, "nm"),
            ("x", True, 4.0, 0.0, "nm"),
        )
        for number, (name, navigate, scale, offset, units) in enumerate(axes):
            group.create_group(f"axis-{number}").attrs.update(
                {"name": name, "navigate": navigate, "scale": scale, "offset": offset, "units": units}
            )
        group.create_group("metadata/Acquisition_instrument/SEM").attrs["beam_energy"] = 15.0
        group["metadata/Sample/_list_elements"] = np.array([b"Fe", b"Si"])
    return Expected("HyperSpy", counts, (-0.1, 0.02), (0.002, 0.004))


def xproc(path: Path) -> Expected:
    counts = spectra(5)
    with h5py.File(path, "w") as file:
        file["raw/channel00/spectra"] = counts
        file["raw/channel00/sumspec"] = counts.sum(axis=(0, 1))
        file["mot1"] = np.repeat(np.arange(3.0)[:, None], 4, axis=1)
        file["mot2"] = np.repeat(np.arange(4.0)[None], 3, axis=0) * 2
        for name in ("mot1", "mot2"):
            file[name].attrs["units"] = "um"
    return Expected(
        "XProc",
        counts,
        pixel_size=(1.0, 2.0),
        detectors={"channel00": counts},
        warning="No energy calibration",
    )


def pymca_stack(path: Path) -> Expected:
    counts = spectra(6)
    with h5py.File(path, "w") as file:
        group = file.create_group("data/NXdata")
        group["data"] = np.moveaxis(counts, 2, 0)
        group["data"].attrs["interpretation"] = "image"
    return Expected("PyMca stack", counts, warning="No energy calibration")


def pymca_nexus_plus(path: Path) -> Expected:
    counts = spectra(6)
    with h5py.File(path, "w") as file:
        file["somewhere/else"] = counts
        file.create_group("data")["data"] = h5py.SoftLink("/somewhere/else")
    return Expected("PyMca stack", counts, warning="No energy calibration")


def pymca_bare(path: Path) -> Expected:
    counts = spectra(6)
    with h5py.File(path, "w") as file:
        file["data"] = counts
    return Expected("PyMca bare stack", counts, warning="No energy calibration")


def pymca_workspace(path: Path) -> Expected:
    counts = spectra(7)
    with h5py.File(path, "w") as file:
        group = file.create_group("stack/instrument/detector_00")
        group["data"] = counts
        group["data"].attrs["interpretation"] = "spectrum"
        group["calibration"] = [-0.1, 0.015, 0.0]
        group["channels"] = np.arange(SHAPE[2])
        group["live_time"] = np.full(12, 0.5)
    return Expected(
        "PyMca workspace",
        counts,
        (-0.1, 0.015),
        detectors={"detector_00": counts},
        live_time=np.full(SHAPE[:2], 0.5),
    )


def bliss(path: Path) -> Expected:
    one, two = spectra(8), spectra(9)
    with h5py.File(path, "w") as file:
        file["1.1/title"] = "ascan sx 0 1 3 0.1"
        file["1.1/measurement/diode"] = np.arange(4.0)
        file["2.1/title"] = "amesh sy 0 0.3 3 sz 10 10.4 2 0.05"
        for name, counts in (("mca_det0", one), ("mca_det1", two)):
            file[f"2.1/measurement/{name}"] = counts.reshape(12, -1).astype(np.uint32)
        for motor in ("sy", "sz"):
            file[f"2.1/instrument/{motor}/value"] = np.zeros(12)
            file[f"2.1/instrument/{motor}/value"].attrs["units"] = "mm"
    return Expected(
        "BLISS",
        one + two,
        pixel_size=(200.0, 100.0),
        detectors={"mca_det0": one, "mca_det1": two},
        warning="No energy calibration",
    )


def bliss_stopped(path: Path) -> Expected:
    counts = spectra(8)
    counts[2, 2:] = 0
    live = np.linspace(0.1, 0.2, 12).reshape(3, 4)
    live[2, 2:] = 0
    with h5py.File(path, "w") as file:
        file["1.1/title"] = "amesh sy 0 0.3 3 sz 10 10.4 2 0.05"
        file["1.1/measurement/det"] = counts.reshape(12, -1)[:10]
        file["1.1/measurement/det_live_time"] = live.ravel()[:10]
        file["1.1/measurement/det_elapsed_time"] = np.full(10, 0.5)  # the real time
        file["1.1/measurement/det_trigger_live_time"] = np.full(10, 0.4)
    return Expected("BLISS", counts, detectors={"det": counts}, live_time=live, warning="was stopped")


def diamond_i18(path: Path) -> Expected:
    parts = spectra(10, (3, 4, 5, 512))
    with h5py.File(path, "w") as file:
        group = file.create_group("entry1/instrument/xspress3")
        group["AllElementSum"] = parts.sum(axis=2).astype(np.float64)
        group["MCAs"] = parts.astype(np.float64)
        file["entry1/instrument/DCM/energy"] = [12.5]
        file["entry1/xspress3"] = h5py.SoftLink("/entry1/instrument/xspress3")
    return Expected(
        "Diamond I18",
        parts.sum(axis=2),
        detectors={str(n): parts[:, :, n] for n in range(5)},
        beam_kev=12.5,
        warning="No energy calibration",
    )


def diamond_i13(path: Path) -> Expected:
    parts = spectra(11, (3, 4, 4, 512))
    with h5py.File(path, "w") as file:
        file["entry1/instrument/xmapMca/fullSpectrum"] = parts.astype(np.int32)
    return Expected(
        "Diamond I13",
        parts.sum(axis=2),
        detectors={str(n): parts[:, :, n] for n in range(4)},
        warning="No energy calibration",
    )


def diamond_i14(path: Path) -> Expected:
    counts = spectra(12)
    with h5py.File(path, "w") as file:
        group = file.create_group("entry/xsp3_addetector")
        group["data"] = counts
        group["energy"] = 10.0 * np.arange(SHAPE[2])
        group["energy"].attrs["units"] = "eV"
        group.attrs["axes"] = ["SampleY", "SampleX", "energy"]
        for name, step, size in (("SampleY", 0.002, SHAPE[0]), ("SampleX", 0.003, SHAPE[1])):
            group[name] = step * np.arange(size)
            group[name].attrs["units"] = "mm"
    return Expected("Diamond I14", counts, (0.0, 0.01), (2.0, 3.0))


def nxfluo(path: Path) -> Expected:
    counts = spectra(13, (2, 3, 4, 512))
    with h5py.File(path, "w") as file:
        entry = file.create_group("entry1/fluo_entry")
        entry["instrument/fluorescence/data"] = counts.astype(np.float32)
        entry["data/data"] = entry["instrument/fluorescence/data"]
        entry["data/energy"] = 10.0 * np.arange(SHAPE[2])
        entry["data/energy"].attrs["units"] = "eV"
        x, y = np.meshgrid(np.arange(4) * 0.002, np.arange(3) * 0.001)
        for name, values in (("x", x), ("y", y)):
            entry[f"data/{name}"] = values
            entry[f"data/{name}"].attrs["units"] = "mm"
        entry["instrument/monochromator/energy"] = 17000.0
        entry["instrument/monochromator/energy"].attrs["units"] = "eV"
    return Expected(
        "NXfluo", counts.reshape(6, 4, 512), pixel_size=(1.0, 2.0), beam_kev=17.0, warning="2 scans"
    )


def xspress3_raw(path: Path) -> Expected:
    parts = spectra(14, (6, 4, 4096), 0.05)
    with h5py.File(path, "w") as file:
        file["entry/data/data"] = parts.astype(np.uint32)
    return Expected(
        "Xspress3 raw",
        parts.sum(axis=1)[None],
        detectors={str(n): parts[None, :, n] for n in range(4)},
        warning="stand in one row",
    )


def xspress3_instrument(path: Path) -> Expected:
    parts = spectra(14, (6, 4, 1024), 0.05)
    with h5py.File(path, "w") as file:
        file["entry/instrument/xspress3/data"] = parts.astype(np.uint32)
    detectors = {str(n): parts[None, :, n] for n in range(4)}
    return Expected("Xspress3 raw", parts.sum(axis=1)[None], detectors=detectors, warning="stand in one row")


def nanomax(path: Path) -> Expected:
    counts = spectra(21, (12, 2, 512))
    x, y = np.meshgrid(np.arange(4) * 0.2, np.arange(3) * 0.5)
    x[1] = x[1, ::-1]  # a snake scan
    with h5py.File(path, "w") as file:
        file["entry/measurement/xspress3/data"] = counts
        file["entry/measurement/pseudo/x"] = x.ravel()
        file["entry/measurement/pseudo/y"] = y.ravel()
    parts = counts.reshape(3, 4, 2, 512)
    parts[1] = parts[1, ::-1].copy()
    return Expected(
        "NanoMAX",
        parts.sum(axis=2),
        pixel_size=(0.5, 0.2),
        detectors={str(n): parts[:, :, n] for n in range(2)},
        warning="measured backwards",
    )


def nanomax_older(path: Path) -> Expected:
    counts, stored, x, y = snake()
    with h5py.File(path, "w") as file:
        folder = file.create_group("entry/measurement")
        folder["xspress3/frames"] = stored.reshape(12, 1, -1)
        folder["pseudo/x"], folder["pseudo/y"] = x, y
        file["entry/snapshot/energy"] = [12000.0]
    size = (5.0, 2.0)
    return Expected("NanoMAX", counts, pixel_size=size, detectors={"0": counts}, beam_kev=12.0, warning="um")


def petra_p06(path: Path) -> Expected:
    one, two = spectra(22).reshape(1, 12, 512), spectra(23).reshape(1, 12, 512)
    with h5py.File(path, "w") as file:
        for number, counts in enumerate((one, two)):
            file[f"entry/instrument/xspress3/channel0{number}/histogram"] = counts[0]
        file["entry/instrument/detector/sequence_number"] = np.arange(1, 13)
    detectors = {"channel00": one, "channel01": two}
    return Expected("P06", one + two, detectors=detectors, warning="stand in one row")


def soleil(path: Path) -> Expected:
    one, two = spectra(22), spectra(23)
    with h5py.File(path, "w") as file:
        file["scan_0001/scan_data/channel00"] = one
        file["scan_0001/scan_data/channel01"] = two
        file["scan_0001/scan_data/trajectory_1_1"] = np.zeros((3, 4))
    detectors = {"channel00": one, "channel01": two}
    return Expected("SOLEIL", one + two, detectors=detectors, warning="No energy calibration")


def aps_confocal(path: Path) -> Expected:
    one, two = spectra(22), spectra(23)
    x, y = np.meshgrid(np.arange(4) * 0.01, np.arange(3) * 0.02)
    with h5py.File(path, "w") as file:
        file["2D Scan/MCA 1"] = one
        file["2D Scan/MCA 2"] = two
        file["2D Scan/X Positions"] = x
        file["2D Scan/Y Positions"] = y[:, 0]
    detectors = {"MCA 1": one, "MCA 2": two}
    return Expected("APS 2D Scan", one + two, pixel_size=(20.0, 10.0), detectors=detectors, warning="mm")


def aps_confocal_flat(path: Path) -> Expected:
    """Places as rows and columns of their own, as CHESS writes such files for others."""
    counts = spectra(22)
    with h5py.File(path, "w") as file:
        file["2D Scan/MCA 1"], file["2D Scan/Detectors"] = counts, np.ones((3, 4, 5), np.float32)
        file["2D Scan/X Positions"] = np.arange(4)[:, None] * 0.01
        file["2D Scan/Y Positions"] = np.arange(3)[None] * 0.02
    return Expected(
        "APS 2D Scan", counts, pixel_size=(20.0, 10.0), detectors={"MCA 1": counts}, warning="taken as mm"
    )


def cls(path: Path) -> Expected:
    parts = spectra(1, (2, *SHAPE))
    with h5py.File(path, "w") as file:
        for energy in range(2):
            for number, counts in enumerate(parts):
                file[f"mono_{energy}/vortex_{number}"] = counts * (energy + 1)
            file[f"mono_{energy}/vortex_sum"] = parts.sum(axis=0) * (energy + 1)
    named = {f"vortex_{number}": counts for number, counts in enumerate(parts)}
    return Expected("CLS", parts.sum(axis=0), detectors=named, warning="map 1")


def cls_bioxas(path: Path) -> Expected:
    parts = spectra(1, (2, *SHAPE))
    with h5py.File(path, "w") as file:
        for number, counts in enumerate(parts):
            file[f"Data/Mono_Energy_0/Full/vortex_{number}"] = counts
        file["Data/Mono_Energy_0/Full/mca"] = parts[0]
        file["Data/Support/rows"], file["Data/Support/cols"] = np.arange(3) * 0.5, np.arange(4) * 0.2
    named = {f"vortex_{number}": counts for number, counts in enumerate(parts)}
    size = (500.0, 200.0)
    return Expected("CLS BioXAS", parts.sum(axis=0), pixel_size=size, detectors=named, warning="taken as mm")


def sirius(path: Path) -> Expected:
    counts, stored, x, y = snake()
    with h5py.File(path, "w") as file:
        file.create_group("scan7")
        file["scan7-norm/channel00"] = stored
        file["scan7-norm/sxpos"], file["scan7-norm/szpos"] = x, y
    return Expected("Sirius", counts, detectors={"channel00": counts}, warning="measured backwards")


def smak(path: Path) -> Expected:
    counts = spectra(2, (1, 12, 512))
    with h5py.File(path, "w") as file:
        file["main/mcadata"] = counts[0].astype(float)
    return Expected("SMAK", counts, detectors={"mcadata": counts}, warning="stand in one row")


def nexus_auxiliary(path: Path) -> Expected:
    parts = spectra(4, (2, *SHAPE))
    with h5py.File(path, "w") as file:
        group = file.create_group("entry/data")
        group.attrs.update(
            {"signal": "a", "axes": ["y", "x", "energy"], "auxiliary_signals": ["b", "all", "bkg"]}
        )
        group["a"], group["b"], group["all"] = parts[0], parts[1], parts.sum(axis=0)
        group["bkg"] = 0.1 * parts[0]
        group["energy"] = 0.01 * np.arange(SHAPE[2])
    return Expected("NeXus", parts.sum(axis=0), detectors={"a": parts[0], "b": parts[1]}, warning="is a sum")


def nexus_scattered(path: Path) -> Expected:
    counts, stored, x, y = snake()
    with h5py.File(path, "w") as file:
        group = file.create_group("entry/data")
        group.attrs.update({"signal": "mca", "axes": [".", "energy"], "x_indices": 0, "y_indices": 0})
        group["mca"] = stored.reshape(12, -1)
        group["energy"] = 0.01 * np.arange(stored.shape[2])
        group["clock"] = np.arange(12.0)
        for name, places in (("x", x), ("y", y)):
            group[name] = places.ravel()
            group[name].attrs["units"] = "mm"
    steps = (float(abs(y[1, 0] - y[0, 0])) * 1000, float(abs(x[0, 1] - x[0, 0])) * 1000)
    return Expected("NeXus", counts, pixel_size=steps, warning="measured backwards")


def nexus_nameless_detectors(path: Path) -> Expected:
    parts = spectra(5, (2, *SHAPE))
    with h5py.File(path, "w") as file:
        group = file.create_group("entry/data")
        group.attrs.update({"signal": "counts", "axes": [".", "y", "x", "energy"]})
        group["counts"], group["energy"] = parts, 0.01 * np.arange(SHAPE[2])
    return Expected("NeXus", parts.sum(axis=0), detectors={"0": parts[0], "1": parts[1]})


def nexus_channels(path: Path) -> Expected:
    parts = spectra(5, (2, *SHAPE))
    with h5py.File(path, "w") as file:
        empty, group = file.create_group("entry0/data"), file.create_group("entry1/data")
        for one, counts in ((empty, np.zeros((0, 4, 2, 512), np.uint16)), (group, np.stack(parts, axis=2))):
            one.attrs.update({"signal": "counts", "axes": ["y", "x", "channel", "energy"]})
            one["counts"], one["energy"] = counts, 0.01 * np.arange(SHAPE[2])
    return Expected("NeXus", parts.sum(axis=0), detectors={"0": parts[0], "1": parts[1]}, warning="map 0")


def bliss_corrected(path: Path) -> Expected:
    counts = spectra(8)
    with h5py.File(path, "w") as file:
        file["1.1/title"] = "amesh sy 0 0.3 3 sz 10 10.4 2 0.05"
        file["1.1/measurement/mca_det0"] = counts.reshape(12, -1)
        file["1.1/measurement/mca_det0_dtcor"] = counts.reshape(12, -1) * 1.2
        file["1.1/measurement/mca_det0_live_time"] = np.zeros(12)  # not known
    return Expected("BLISS", counts, detectors={"mca_det0": counts}, warning="made of the others")


def pyxrf_empty_sum(path: Path) -> Expected:
    one, two = spectra(1), spectra(2)
    with h5py.File(path, "w") as file:
        for name, counts in (("det1", one), ("det2", two), ("detsum", np.zeros_like(one))):
            file[f"xrfmap/{name}/counts"] = counts
    return Expected("PyXRF", one + two, detectors={"det1": one, "det2": two}, warning="is empty")


def pyxrf_sum_of_one(path: Path) -> Expected:
    one, two = spectra(1), spectra(2)
    with h5py.File(path, "w") as file:
        for name, counts in (("det1", one), ("det2", two), ("detsum", one)):
            file[f"xrfmap/{name}/counts"] = counts
    return Expected("PyXRF", one, detectors={"det1": one, "det2": two}, warning="is not the sum of all")


def pymca_channels(path: Path) -> Expected:
    counts = spectra(1)
    with h5py.File(path, "w") as file:
        group = file.create_group("stack/instrument/detector_00")
        group["data"], group["calibration"] = counts, [-0.05, 0.01, 0.0]
        group["channels"] = 100 + 2 * np.arange(512)  # of a part, two at a time
    return Expected("PyMca workspace", counts, (0.95, 0.02), detectors={"detector_00": counts})


def edax(path: Path, arrays: bool = False) -> Expected:
    counts = spectra(1).astype("<i2")
    with h5py.File(path, "w") as file:
        group = file.create_group("Project/Sample/Area 1/Live Map 1")
        if arrays:  # as the instrument's program writes it
            kind = h5py.h5t.array_create(h5py.h5t.STD_I16LE, (512,))
            place = h5py.h5s.create_simple((3, 4))
            h5py.h5d.create(group.id, b"SPD", kind, place).write(h5py.h5s.ALL, h5py.h5s.ALL, counts, kind)
        else:
            group["SPD"] = counts
        group["SPD"].attrs.update({"MicronPerPixelX": [2.0], "MicronPerPixelY": [3.0]})
        fields = [("eVOffset", "f4"), ("evPch", "f4"), ("NumberOfPoints", "i4")]
        group["SPC"] = np.array([(-50.0, 10.0, 512)], dtype=fields)
    return Expected("EDAX APEX", counts, (-0.05, 0.01), (3.0, 2.0))


def edax_arrays(path: Path) -> Expected:
    return edax(path, arrays=True)


def nexus_in_lengths(path: Path) -> Expected:
    counts = spectra(1)
    with h5py.File(path, "w") as file:
        group = file.create_group("entry/data")
        group.attrs.update({"signal": "counts", "axes": ["y", "x", "energy"]})
        group["counts"], group["energy"] = counts, 1 + 0.02 * np.arange(512)
        group["energy"].attrs["units"] = "angstrom"
    return Expected("NeXus", counts, warning="its unit is angstrom")


def oxford(path: Path) -> Expected:
    counts = spectra(24)
    with h5py.File(path, "w") as file:
        file["1/EDS/Data/Spectrum"] = counts.reshape(12, -1).astype(np.int32)
        file["1/EDS/Data/Live Time"] = np.full(12, 0.25)
        header = {"X Cells": 4, "Y Cells": 3, "X Step": 0.5, "Y Step": 0.25, "Channel Width": 20.0,
                  "Start Channel": -100.0, "Beam Voltage": 20.0}  # fmt: skip
        for name, value in header.items():
            file[f"1/EDS/Header/{name}"] = np.array([value])
    return Expected(
        "Oxford h5oina",
        counts,
        (-0.1, 0.02),
        pixel_size=(0.25, 0.5),
        detectors={"EDS": counts},
        live_time=np.full(SHAPE[:2], 0.25),
    )


def oxford_two_detectors(path: Path) -> Expected:
    expected = oxford(path)
    with h5py.File(path, "r+") as file:
        file.move("1/EDS", "1/EDS1")
        file.copy("1/EDS1", "1/EDS2")
        for name in list(file["1/EDS1/Header"]):  # scalars of version 8
            value = file[f"1/EDS1/Header/{name}"][()]
            del file[f"1/EDS1/Header/{name}"]
            file[f"1/EDS1/Header/{name}"] = value.reshape(1, 1)
    one = expected.counts
    return replace(expected, counts=2 * one, detectors={"EDS1": one, "EDS2": one})


def snake() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return a map, its spectra as a snake scan stores them, and the positions x and y of these, µm."""
    counts = spectra(25)
    stored = counts.copy()
    stored[1] = counts[1, ::-1]
    x, y = np.meshgrid(np.arange(4) * 2.0, np.arange(3) * 5.0)
    x[1] = x[1, ::-1]
    return counts, stored, x, y


def gse_two_axes(path: Path) -> Expected:
    one, two = spectra(1), spectra(2)
    with h5py.File(path, "w") as file:
        file.create_group("xrmmap/config")
        file.create_group("xrmmap/roimap")
        for name, counts, offset in (("mca1", one, 0.0), ("mca2", two, 0.1), ("mcasum", one + two, 0.0)):
            file[f"xrmmap/{name}/counts"] = counts
            file[f"xrmmap/{name}/energy"] = offset + 0.01 * np.arange(SHAPE[2])
    total = np.pad(one, ((0, 0), (0, 0), (0, 10))) + np.pad(two, ((0, 0), (0, 0), (10, 0)))
    return Expected("GSE XRM map", total, detectors={"mca1": one, "mca2": two}, warning="to one axis")


def gse_snake(path: Path) -> Expected:
    counts, stored, x, y = snake()
    with h5py.File(path, "w") as file:
        file.create_group("xrmmap/config")
        file.create_group("xrmmap/roimap")
        file["xrmmap/mcasum/counts"] = stored
        file["xrmmap/mcasum/energy"] = 0.01 * np.arange(SHAPE[2])
        file["xrmmap/positions/pos"] = np.stack([x, y], axis=-1) / 1000
        file["xrmmap/positions/name"] = np.array([b"Fine X", b"Fine Y"])
    return Expected("GSE XRM map", counts, pixel_size=(5.0, 2.0), warning="measured backwards")


def bliss_parameters(path: Path) -> Expected:
    counts, stored, _, _ = snake()
    with h5py.File(path, "w") as file:
        file["1.1/title"] = "fscan2d"
        file["1.1/measurement/det0"] = stored.reshape(12, -1)
        told = file.create_group("1.1/instrument/fscan_parameters")
        told.attrs.update({"slow_motor": "sz", "fast_motor": "sy"})
        values = {"slow_npoints": 3, "fast_npoints": 4, "slow_step_size": 0.005, "fast_step_size": 0.002}
        for name, value in values.items():
            told[name] = value
        told["fast_motor_mode"] = "ZIGZAG"
        for name in ("sz", "sy"):  # where the motors stood before: it tells their unit
            file[f"1.1/instrument/positioners_start/{name}"] = 1.0
            file[f"1.1/instrument/positioners_start/{name}"].attrs["units"] = "mm"
    warning = "parameters say so (ZIGZAG)"
    return Expected("BLISS", counts, pixel_size=(5.0, 2.0), detectors={"det0": counts}, warning=warning)


def bliss_positions(path: Path) -> Expected:
    counts, stored, x, y = snake()
    with h5py.File(path, "w") as file:
        file["1.1/title"] = "fscanloop sy 0 0.002 4 0.1"
        measurement = file.create_group("1.1/measurement")
        measurement["det0"] = stored.reshape(12, -1)
        measurement["epoch"] = np.arange(12.0) + 1e9
        measurement["fx_roi"] = np.arange(12.0) % 5
        for name, values in (("sy", x), ("sz", y)):
            measurement[name] = values.ravel()
            measurement[name].attrs["units"] = "um"
    return Expected(
        "BLISS", counts, pixel_size=(5.0, 2.0), detectors={"det0": counts}, warning="tell the map's shape"
    )


def bliss_loops(path: Path) -> Expected:
    counts = spectra(26)
    counts[2, 3] = 0
    with h5py.File(path, "w") as file:
        for loop, row in enumerate(counts, 1):
            file[f"7.{loop}/title"] = "fscanloop sy 0 0.002 4 0.1"
            file[f"7.{loop}/measurement/det0"] = row[: 3 if loop == 3 else 4]
    return Expected("BLISS", counts, detectors={"det0": counts}, warning="3 loops of scan 7")


def nanomax_rows(path: Path) -> Expected:
    counts, stored, x, y = snake()
    with h5py.File(path, "w") as file:
        for row in range(3):
            folder = file.create_group(f"entry_{row:04d}/measurement")
            folder["xspress3/data"] = np.stack([stored[row], stored[row]], axis=1)
            folder["pseudo/x"], folder["pseudo/y"] = x[row], y[row]
    return Expected(
        "NanoMAX",
        2 * counts,
        pixel_size=(5.0, 2.0),
        detectors={"0": counts, "1": counts},
        warning="3 entries of the file are the rows",
    )


def xspress3_rows(path: Path) -> Expected:
    counts = spectra(27, (3, 4, 1024))
    with h5py.File(path, "w") as file:
        file["entry1/instrument/xspress3/data"] = np.stack([counts] * 3, axis=2)
    detectors = {str(number): counts for number in range(3)}
    return Expected("Xspress3 raw", 3 * counts, detectors=detectors, warning="No energy calibration")


def soleil_snake(path: Path) -> Expected:
    counts, stored, x, y = snake()
    with h5py.File(path, "w") as file:
        file["acq/scan_data/fluospectrum00"] = stored
        file["acq/scan_data/trajectory_1_1"] = x / 1000
        file["acq/scan_data/trajectory_2_1"] = y / 1000
    return Expected(
        "SOLEIL", counts, pixel_size=(5.0, 2.0), detectors={"fluospectrum00": counts}, warning="backwards"
    )


def soleil_numbered(path: Path) -> Expected:
    """As SOLEIL's scan server numbers its counters, and its users' programs read them by their aliases."""
    counts, stored, x, y = snake()
    with h5py.File(path, "w") as file:
        folder = file.create_group("scan_0042/scan_data")
        for number, name in ((3, "fluoicr00"), (4, "fluospectrum01"), (5, "fluospectrum00"), (6, "pilatus")):
            values = stored if name.startswith("fluospectrum") else np.ones((3, 4))
            folder[f"data_{number:02}"] = values
            folder[f"data_{number:02}"].attrs.update({"alias": name, "long_name": f"i11/dt/{number}"})
        folder["trajectory_1_1"], folder["trajectory_2_1"] = x[0] / 999, y[:, 0] / 1000  # as it was planned
        folder["actuator_1_1"], folder["actuator_2_1"] = x / 1000, y / 1000
    detectors = {"fluospectrum00": counts, "fluospectrum01": counts}
    return Expected("SOLEIL", 2 * counts, pixel_size=(5.0, 2.0), detectors=detectors, warning="backwards")


def soleil_points(path: Path) -> Expected:
    counts, stored, x, y = snake()
    with h5py.File(path, "w") as file:
        folder = file.create_group("flyscan/scan_data")
        folder["channel1"], folder["channel2"] = stored.reshape(12, -1), stored.reshape(12, -1)
        folder["deadtime1"], folder["energy"] = np.ones(12), np.linspace(9.6, 9.7, 12)
        folder["trajectory_1_1"], folder["trajectory_2_1"] = x.ravel(), y.ravel()
        for name in ("trajectory_1_1", "trajectory_2_1"):
            folder[name].attrs["units"] = "um"
    detectors = {"channel1": counts, "channel2": counts}
    return Expected("SOLEIL", 2 * counts, pixel_size=(5.0, 2.0), detectors=detectors, warning="backwards")


def crono(path: Path) -> Expected:
    """Spectra of a head that never stops, of which the index of each pixel's stands beside."""
    counts = spectra(29)
    index = 3 + 2 * np.arange(12).reshape(3, 4)
    index[1] = index[1, ::-1]
    stored = spectra(30, (40, 512))
    stored[index] = counts
    with h5py.File(path, "w") as file:
        file["XRF/Spectra"], file["XRF/SpectraSelectedIndex"] = stored, index[..., None].astype(np.int32)
        file["XRF/EnergyVector"] = -0.1 + 0.02 * np.arange(512)
        file["XRF/Positions"] = np.random.default_rng(1).normal(size=(40, 3))
    return Expected("Bruker Crono", counts, (-0.1, 0.02), warning="28 are of no pixel")


def nexus_named_places(path: Path) -> Expected:
    counts, stored, x, y = snake()
    with h5py.File(path, "w") as file:
        group = file.create_group("entry/data")
        group.attrs.update({"signal": "counts", "axes": ["samY", "samX", "energy"]})
        group["counts"], group["energy"] = stored, 0.01 * np.arange(SHAPE[2])
        for name, values in (("samX", x), ("samY", y)):
            group[name] = values
            group[name].attrs["units"] = "um"
    return Expected("NeXus", counts, pixel_size=(5.0, 2.0), warning="measured backwards")


def hyperspy_uncalibrated(path: Path) -> Expected:
    hyperspy(path)
    with h5py.File(path, "r+") as file:
        group = file["Experiments/a rock"]
        group["axis-0"].attrs.update({"scale": 1.0, "offset": 0.0, "units": "<undefined>"})
        del group["metadata/Sample"]
    return Expected("HyperSpy", spectra(4), pixel_size=(0.002, 0.004), warning="No energy calibration")


def bliss_snake(path: Path) -> Expected:
    counts = spectra(8)
    stored = counts.copy()
    stored[1] = counts[1, ::-1]
    x, y = np.meshgrid(np.arange(4) * 0.1, np.arange(3) * 0.2)
    x[1] = x[1, ::-1]
    with h5py.File(path, "w") as file:
        file["rock_0001_1.1/title"] = "amesh sy 0 0.3 3 sz 10 10.4 2 0.05 backnforth"
        measurement = file.create_group("rock_0001_1.1/measurement")
        measurement["fx_det0"] = stored.reshape(12, -1)
        measurement["fx_sum"] = stored.reshape(12, -1)  # of the one detector beside it
        measurement["eiger_roi1_profile"] = np.full((12, 900), 9)
        measurement["sy"], measurement["sz"] = x.ravel(), y.ravel()
    return Expected("BLISS", counts, detectors={"fx_det0": counts}, warning="measured backwards")


def bliss_uneven(path: Path) -> Expected:
    one, two = spectra(8), spectra(9)
    two[2, 2:] = 0
    with h5py.File(path, "w") as file:
        file["1.1/title"] = "amesh(sy, 0, 0.3, 3, sz, 10, 10.4, 2, 0.05)"
        file["1.1/measurement/det0"] = one.reshape(12, -1)
        file["1.1/measurement/det1"] = two.reshape(12, -1)[:10]
    detectors = {"det0": one, "det1": two}
    return Expected("BLISS", one + two, detectors=detectors, warning="No energy calibration")


def pyxrf_uneven(path: Path) -> Expected:
    one, two = spectra(1), spectra(2)
    two[2] = 0
    with h5py.File(path, "w") as file:
        file["xrfmap/det1/counts"] = one
        file["xrfmap/det2/counts"] = two[:2]
    detectors = {"det1": one, "det2": two[:2]}
    return Expected("PyXRF", one + two, detectors=detectors, warning="det2 (2 × 4 pixels)")


def pymca_two_axes(path: Path) -> Expected:
    one, two = spectra(7), spectra(9)
    with h5py.File(path, "w") as file:
        for number, (counts, offset) in enumerate(((one, 0.0), (two, 0.1))):
            group = file.create_group(f"a rock/instrument/detector_0{number}")
            group["data"] = counts
            group["calibration"] = [offset, 0.01, 0.0]
    total = np.zeros((*SHAPE[:2], SHAPE[2] + 10), dtype=np.uint16)
    total[:, :, :-10] += one
    total[:, :, 10:] += two
    detectors = {"detector_00": one, "detector_01": two}
    return Expected("PyMca workspace", total, detectors=detectors, warning="brought to one axis")


def nexus_x_first(path: Path) -> Expected:
    counts = spectra(18)
    with h5py.File(path, "w") as file:
        group = file.create_group("entry/data")
        group.attrs.update({"NX_class": "NXdata", "signal": "counts", "axes": ["x", "y", "mca_channel"]})
        group["counts"] = counts.swapaxes(0, 1)
        group["mca_channel"] = 0.01 * np.arange(SHAPE[2] + 1)  # edges
        group["mca_channel"].attrs["units"] = "keV"
        for name, size, step in (("y", 3, 0.025), ("x", 4, 0.05)):
            group[name] = np.arange(size) * step
            group[name].attrs["units"] = "mm"
    return Expected("NeXus", counts, (0.005, 0.01), pixel_size=(25.0, 50.0))


def hyperspy_listed(path: Path) -> Expected:
    expected = hyperspy(path)
    with h5py.File(path, "r+") as file:
        axis = file["Experiments/a rock/axis-0"]
        del axis.attrs["scale"], axis.attrs["offset"]
        axis["axis"] = -0.1 + 0.02 * np.arange(SHAPE[2])
    return expected


def hyperspy_images(path: Path) -> Expected:
    expected = hyperspy(path)
    with h5py.File(path, "r+") as file:
        for number in range(3):
            file[f"Experiments/a rock/axis-{number}"].attrs["navigate"] = number == 0
    return expected


def hyperspy_stack(path: Path) -> Expected:
    counts = spectra(4)
    with h5py.File(path, "w") as file:
        group = file.create_group("Experiments/a rock")
        group["data"] = np.stack([counts, counts + 1])
        axes = (("stack_element", True, ""), ("y", True, "µm"), ("x", True, "µm"), ("Energy", False, "keV"))
        for number, (name, navigate, units) in enumerate(axes):
            told = {"name": name, "navigate": navigate, "scale": 0.02, "offset": 0.0, "units": units}
            group.create_group(f"axis-{number}").attrs.update(told)
    warning = "one below another"
    return Expected(
        "HyperSpy", np.concatenate([counts, counts + 1]), (0.0, 0.02), (0.02, 0.02), warning=warning
    )


def hyperspy_x_first(path: Path) -> Expected:
    counts = spectra(4)
    with h5py.File(path, "w") as file:
        group = file.create_group("Experiments/a rock")
        group["data"] = counts.swapaxes(0, 1)
        axes = (("x", True, 4.0, "nm"), ("y", True, 2.0, "nm"), ("Energy", False, 0.02, "keV"))
        for number, (name, navigate, scale, units) in enumerate(axes):
            group.create_group(f"axis-{number}").attrs.update(
                {"name": name, "navigate": navigate, "scale": scale, "offset": 0.0, "units": units}
            )
    return Expected("HyperSpy", counts, (0.0, 0.02), (0.002, 0.004))


def xismus(path: Path) -> Expected:
    counts = spectra(15)
    with h5py.File(path, "w") as file:
        file["dataset_1"] = counts.astype(np.int32)
        file.attrs["calibration"] = [[100, 2.0], [300, 6.0], [400, 8.0]]
    return Expected("XISMuS", counts, (0.0, 0.02))


def ganx(path: Path) -> Expected:
    counts = spectra(16, (3, 4, 1024))
    with h5py.File(path, "w") as file:
        file["img"] = counts.astype(np.float64)
    return Expected("ganX", counts, (0.5, 38.0 / 1023), warning="No energy calibration")


def xrdxrfutils(path: Path) -> Expected:
    counts = spectra(17)
    with h5py.File(path, "w") as file:
        file["data"] = counts
        file["calibration/opt"] = [0.0, 0.02, -0.1]
    return Expected("XRDXRFutils", counts, (-0.1, 0.02))


def nexus(path: Path) -> Expected:
    parts = spectra(18, (2, *SHAPE))
    with h5py.File(path, "w") as file:
        group = file.create_group("entry/data")
        group.attrs.update({"NX_class": "NXdata", "signal": "counts", "axes": ["y", "x", "energy"]})
        group["counts"] = parts.sum(axis=0).astype(np.uint32)
        group["counts_per_detector"] = parts
        group["energy"] = 0.01 * np.arange(SHAPE[2])
        group["energy"].attrs["units"] = "keV"
        for name, size, step in (("y", 3, 0.025), ("x", 4, 0.05)):
            group[name] = np.arange(size) * step
            group[name].attrs["units"] = "mm"
    return Expected(
        "NeXus", parts.sum(axis=0), pixel_size=(25.0, 50.0), detectors={"0": parts[0], "1": parts[1]}
    )


def nexus_energy_first(path: Path) -> Expected:
    counts = spectra(19)
    with h5py.File(path, "w") as file:
        group = file.create_group("scan/plot")
        group["signal_1"] = np.moveaxis(counts, 2, 0)
        group["signal_1"].attrs.update({"signal": 1, "axes": "energy:y:x"})
        group["energy"] = 20.0 * np.arange(SHAPE[2])
    return Expected("NeXus", counts, (0.0, 0.02))


def nexus_detector_axis(path: Path) -> Expected:
    parts = spectra(20, (*SHAPE[:2], 3, SHAPE[2]))
    with h5py.File(path, "w") as file:
        group = file.create_group("entry/instrument/mca")
        group.attrs.update({"signal": "data", "axes": ["y", "x", "detector", "energy"]})
        group["data"] = parts
        group["calibration"] = [0.0, 0.02, 0.0]
    return Expected(
        "NeXus", parts.sum(axis=2), (0.0, 0.02), detectors={str(n): parts[:, :, n] for n in range(3)}
    )


def nanomax_fly(path: Path) -> Expected:
    """Fly scans of 2017 and 2018: the places stand in the sample's file, zeros behind those of each row.

    The name must be ``scan_0192_xspress3_0000.hdf5``.
    """
    counts, stored, x, y = snake()
    with h5py.File(path, "w") as file:
        for row in range(3):
            file[f"entry_{row:04d}/measurement/xspress3/data"] = np.stack([stored[row]] * 2, axis=1)
    with h5py.File(path.with_name("sample.h5"), "w") as file:
        folder = file.create_group("entry192/measurement")
        folder["AdLinkAI_buff"] = np.pad(x + 1, ((0, 0), (0, 6)))
        folder["samy"] = y[:, 0]
        file["entry192/title"] = "flyscan samy 0 10 2 samx 0 6 4 0.1"
    return Expected(
        "NanoMAX",
        2 * counts,
        pixel_size=(5.0, 2.0),
        detectors={"0": counts, "1": counts},
        warning="measured backwards",
    )


def chess_phynx(path: Path) -> Expected:
    """As praxes converts SPEC's scans: a smesh whose rows alternate, and a point beside it."""
    counts, stored, x, y = snake()
    with h5py.File(path, "w") as file:
        scan = file.create_group("citrus.dat_2")
        scan.attrs["acquisition_command"] = "smesh  samx -1 7 0 6 3  samz 0 10 2  1"
        scan.attrs["acquisition_shape"] = "(3, 4)"
        for number in (1, 2):
            mca = scan.create_group(f"measurement/vortex{number}")
            mca.attrs["calibration"] = "(0.0, 0.02, 0.0)"
            mca["counts"] = stored.reshape(12, -1).astype(np.float32)
            mca["channels"] = np.arange(10, 10 + counts.shape[2])
            mca["dead_time"] = np.full(12, 3.0, np.float32)
        scan["measurement/scalar_data/samx"], scan["measurement/scalar_data/samz"] = x.ravel(), y.ravel()
        scan["measurement/positioners/samy"] = 0.5
        point = file.create_group("citrus.dat_1")
        point.attrs["acquisition_command"] = "tseries 1 5"
        point["measurement/scalar_data/time"] = [5.0]
    detectors = {"vortex1": counts, "vortex2": counts}
    return Expected("CHESS (phynx)", 2 * counts, (0.2, 0.02), detectors=detectors, warning="backwards")


def beside_energies(path: Path) -> Expected:
    """As scripts and netCDF hold it: images over energy, and a background of the same shape."""
    counts = spectra(4)
    with h5py.File(path, "w") as file:
        file["counts"] = np.moveaxis(counts, 2, 0)
        file["background"] = np.ones_like(file["counts"])
        file["Energy_keV"] = -0.05 + 0.02 * np.arange(SHAPE[2])
        for name, step, size in (("y", 3.0, 3), ("x", 2.0, 4)):
            file[name] = step * np.arange(size)
            file[name].attrs["units"] = "µm"
    return Expected("spectra beside energies", counts, (-0.05, 0.02), (3.0, 2.0))


def gda_nameless(path: Path) -> Expected:
    """As GDA writes a scan since 2018: places named, elements and channels not."""
    one, two = spectra(1), spectra(2)
    with h5py.File(path, "w") as file:
        group = file.create_group("entry/Xspress3A")
        group.attrs.update({"NX_class": "NXdata", "signal": "data"})
        group.attrs["axes"] = ["stage_y_value_set", "stage_x_value_set", ".", "."]
        group["data"] = np.stack([one, two], axis=2)
        for name, step, size in (("stage_y_value_set", 0.003, 3), ("stage_x_value_set", 0.002, 4)):
            group[name] = step * np.arange(size)
            group[name].attrs["units"] = "mm"
    detectors = {"0": one, "1": two}
    return Expected(
        "NeXus", one + two, pixel_size=(3.0, 2.0), detectors=detectors, warning="No energy calibration"
    )


BUILDERS: tuple[Callable[[Path], Expected], ...] = (
    gse, gse_v1, pyxrf, maps_v10, maps_v9, maps_v9_energy_last, maps_raw, hyperspy, xproc,
    pymca_stack, pymca_nexus_plus, pymca_bare, pymca_workspace, bliss, bliss_stopped, diamond_i18,
    diamond_i13, diamond_i14, nxfluo, xspress3_raw, xspress3_instrument, nanomax, nanomax_older,
    petra_p06, soleil, aps_confocal, oxford, oxford_two_detectors, gse_two_axes, gse_snake,
    bliss_parameters, bliss_positions, bliss_loops, nanomax_rows, xspress3_rows, soleil_snake,
    nexus_named_places, hyperspy_uncalibrated, bliss_snake, bliss_uneven, pyxrf_uneven,
    pymca_two_axes, nexus_x_first, hyperspy_listed, hyperspy_images, hyperspy_stack, cls,
    cls_bioxas, sirius, smak, nexus_auxiliary, nexus_scattered, nexus_nameless_detectors,
    nexus_channels, hyperspy_x_first, xismus, ganx, xrdxrfutils, nexus, nexus_energy_first,
    nexus_detector_axis, bliss_corrected, pyxrf_empty_sum, pyxrf_sum_of_one, nexus_in_lengths,
    pymca_channels, edax, edax_arrays, aps_confocal_flat, soleil_numbered, soleil_points, crono,
    chess_phynx, beside_energies, gda_nameless,
)  # fmt: skip
