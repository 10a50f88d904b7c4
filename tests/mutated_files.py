"""Small files of every format that is read here, ways to damage them, and what must hold then.

Shared by the test that runs in seconds and by ``benchmarks/fuzz_readers.py``, which runs for an hour.
"""

from __future__ import annotations

import json
import random
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import hdf5_files
import pdz_files
from bruker_files import write_bcf
from napari_xrf import io
from napari_xrf.core.abundances import Abundances
from napari_xrf.core.element_maps import ElementMaps
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import XrfError
from napari_xrf.core.label_map import LabelClass, LabelMap
from napari_xrf.core.spectral_cube import SpectralCube
from napari_xrf.core.spectrum import Spectrum
from tia_files import ser_file

_TOKENS = (b"nan", b"-1", b"1e400", b"99999999999999999999", b"", b"\xff\xfe", b"[[[[", b"1e24", b",", b"\0",
           b"-0", b"1e-400", b"inf", b"4294967296", b"0", b"\"", b"\n\n", b"{", b"<a>", b"&x;", b"..", b"%b",
           b"\x1b[2J", b"=1+1")  # fmt: skip
_NUMBER = re.compile(rb"\d+(?:\.\d+)?")
_SMALL_BUDGET = 2000  # bytes: counts stay in their file

Reader = Callable[[Path], Any]


@dataclass(frozen=True)
class Seed:
    """A whole file, and the functions that read it."""

    write: Callable[[Path], object]
    readers: tuple[Reader, ...]
    damaged: str = ""  # the file beside it that is damaged, where it is another
    endless: bool = False  # whether nothing in the file tells how many lines there are


def check(path: Path, seed: Seed, total: float | None, cut: bool) -> bool:
    """Read a damaged file by all its readers; return whether one read it.

    Raises AssertionError when the counts that are read do not agree with each other, or when a file that was
    cut short gives other counts than the whole one without a word.
    """
    io.recognizes(path)
    read, judged = False, cut and not (seed.endless and path.read_bytes().endswith(b"\n"))
    for reader in seed.readers:
        try:
            found = reader(path)
            if isinstance(found, SpectralCube):
                own = _checked_total(found)
                said = bool(found.provenance.warnings)
                assert not (judged and not said and total is not None and own != total), (own, total)
            read = True
        except XrfError:
            continue
    return read


def damaged(whole: bytes, draw: random.Random, others: bytes = b"") -> tuple[bytes, bool]:
    """Return bytes with one to twenty damages, and whether the file was only cut short."""
    data = bytearray(whole)
    if draw.random() < 0.1:
        return bytes(data[: draw.randrange(len(data))]), True
    for _ in range(draw.choice((1, 1, 2, 5, 20))):
        if not data:
            break
        at = draw.randrange(min(len(data), draw.choice((500, 2000, len(data)))))
        kind = draw.randrange(8)
        if kind == 0:
            data[at] = draw.randrange(256)
        elif kind == 1:
            data[at : at + draw.randrange(1, 8)] = draw.choice(_TOKENS)
        elif kind == 2:
            del data[max(at, 30) : at + draw.randrange(1, 400)]
        elif kind == 3:
            data[at:at] = data[at // 2 : at // 2 + draw.randrange(1, 60)]
        elif kind == 4:
            data[at] ^= 1 << draw.randrange(8)
        elif kind == 5:
            size = draw.choice((1, 2, 4, 8))
            data[at : at + size] = draw.choice((b"\xff", b"\0", b"\x7f", b"\x80")) * size
        elif kind == 6 and (numbers := list(_NUMBER.finditer(data[:20_000]))):
            one = draw.choice(numbers)
            data[one.start() : one.end()] = draw.choice(_TOKENS)
        elif others:
            start = draw.randrange(len(others))
            data[at : at + 64] = others[start : start + draw.randrange(1, 64)]
    return bytes(data), False


def read_total(path: Path) -> float | None:
    """Return all counts of a whole file, None where it is no map."""
    try:
        return _checked_total(io.read(path))
    except XrfError:
        return None


def _checked_total(cube: SpectralCube) -> float:
    """Return all counts of a map, by spectra and by pixels alike."""
    total = float(cube.sum_spectrum().sum())
    edges = cube.energy.edges
    by_pixels = float(cube.window_map(edges[0], edges[-1]).sum())
    assert abs(total - by_pixels) <= 1e-6 * max(abs(total), 1), (total, by_pixels)
    assert np.isfinite(total)
    assert total >= 0
    return total


def _lazily(path: Path) -> SpectralCube:
    return io.read(path, memory_budget=_SMALL_BUDGET)


def _all_maps(path: Path) -> Any:
    return io.read(path, map=1)


def _weights(path: Path) -> Any:
    from napari_xrf.learning.weights import load_model

    return load_model(path)


def _checkpoint(path: Path) -> Any:
    from napari_xrf.learning.checkpoints import read_checkpoint

    shutil.copy(path, path.with_name("checkpoint.safetensors"))
    return read_checkpoint(path.parent)


def _generator(path: Path) -> Any:
    from napari_xrf.learning.painting.generator import load_painting_generator

    return load_painting_generator(path)


def _prediction(path: Path) -> Any:
    from napari_xrf.learning.prediction.files import read_prediction

    return read_prediction(path)


def _instrument(path: Path) -> Any:
    from napari_xrf.physics.instrument import load_instrument

    return load_instrument(path)


def _library(path: Path) -> Any:
    from napari_xrf.reference.minerals import load_library

    return load_library(path)


def _pigments(path: Path) -> Any:
    from napari_xrf.reference.pigments import load_pigments

    return load_pigments(path)


def _measured_pigments(path: Path) -> Any:
    from napari_xrf.synthesis.pigment_files import read_measured_pigments

    return read_measured_pigments(path)


def _truth(path: Path) -> Any:
    from napari_xrf.maps.quantification.standards import read_truth_table

    return read_truth_table(path, Path("a.spx"))


def _regions(path: Path) -> Any:
    from napari_xrf.io.own.region_files import read_regions

    return read_regions(path)


def _pymca(path: Path) -> Any:
    from napari_xrf.io.pymca_config import read_pymca_config

    return read_pymca_config(path)


def _plan(path: Path) -> Any:
    from napari_xrf.scale.plans import read_plan

    return read_plan(path, "maps")


def _manifest(path: Path) -> Any:
    from napari_xrf.scale.manifest import read_manifest

    shutil.copy(path, path.with_name("manifest.jsonl"))
    return read_manifest(path.parent)


def _picture(path: Path) -> Any:
    from napari_xrf.synthesis.recipes import read_picture

    return read_picture(path)


def _labels() -> LabelMap:
    return LabelMap(
        np.arange(12, dtype=np.uint8).reshape(3, 4) % 2 + 1,
        (LabelClass(1, "quartz"), LabelClass(2, "albite", "NaAlSi3O8", "#102030", 2.6)),
        np.full((3, 4), 0.5, np.float32),
        (2.0, 3.0),
    )


def _maps() -> ElementMaps:
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    return ElementMaps(("Fe K", "Ca K"), values, values + 1, "fit", (2.0, 3.0))


def _counts(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).poisson(1.0, (3, 4, 64)).astype(np.uint16)


def _cube(path: Path) -> None:
    io.write_cube(
        path, SpectralCube(_counts(), EnergyAxis(0.0, 0.01, 64)), truth={"labels": _labels(), "n": [1]}
    )


def _text(head: str, tail: str = "", numbered: str = "") -> Callable[[Path], object]:
    values = "\n".join(f"{at}{numbered}{at % 7}" if numbered else str(at % 7) for at in range(64))
    return lambda path: path.write_text(f"{head}{values}\n{tail}")


def _logarithms(path: Path) -> None:
    rows = (f"{at / 50:.2f}\t{np.log10(1 + at % 9):.4f}" for at in range(64))
    path.write_text("keV\tlog10 counts\n" + "\n".join(rows) + "\n")


def _columns(path: Path) -> None:
    rows = (f"{at},{at / 50:.2f},{at % 5},{(63 - at) % 5}" for at in range(64))
    path.write_text("channel,keV,a,b\n" + "\n".join(rows) + "\n")


def _pdz(path: Path) -> None:
    counts = [at % 5 for at in range(64)]
    phases = pdz_files.phase(counts), pdz_files.phase(counts[::-1], "phase 2")  # of one sum
    path.write_bytes(pdz_files.chain(*phases))


def _smak(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["main/mapdata"] = np.arange(72.0).reshape(3, 4, 6)
        file["main"].attrs["labels"] = [b"I0", b"Fe", b"FF1", b"Ca"]


def _oxford_maps(path: Path) -> None:
    with h5py.File(path, "w") as file:
        for at, (name, number) in enumerate((("Fe Ka1", 26), ("Ca Ka1", 20))):
            data = file.create_dataset(
                f"1/EDS/Data/Window Integral/{name}", data=np.arange(12.0)[:, None] + at
            )
            data.attrs.update({"Atomic Number": [[number]], "X-ray Line": "Ka1"})
        for name, value in {"X Cells": 4, "Y Cells": 3, "X Step": 0.5, "Y Step": 0.25}.items():
            file[f"1/EDS/Header/{name}"] = [[value]]


def _fly_scan(path: Path) -> None:
    """Write frames of NanoMAX; where its points lie stands in the sample's file, which is damaged."""
    hdf5_files.nanomax_fly(path.with_name("scan_0192_xspress3_0000.hdf5"))
    path.with_name("sample.h5").replace(path)


def _frames_beside(path: Path) -> Any:
    return io.read(path.with_name("scan_0192_xspress3_0000.hdf5"))


def _spec(path: Path) -> None:
    values = " ".join(str(at % 7) for at in range(64))
    head = "#F s.mca\n#S 1 mesh x 0 1 2 y 0 1 1\n#@MCA %16C\n#@CHANN 64 0 63 1\n#@CALIB 0 0.01 0\n"
    path.write_text(head + f"@A {values}\n1\n" * 6)


def _rpl(path: Path) -> None:
    path.with_suffix(".rpl").write_text(
        "key\tvalue\nwidth\t4\nheight\t3\ndepth\t64\noffset\t0\ndata-Length\t2\ndata-type\tunsigned\n"
        "byte-order\tlittle-endian\nrecord-by\tvector\nev-per-chan\t10\n"
    )
    path.with_suffix(".raw").write_bytes(_counts().astype("<u2").tobytes())


def _edf(path: Path) -> None:
    head = "{\nDataType = UnsignedShort ;\nDim_1 = 64 ;\nDim_2 = 12 ;\nMCA a = 0 ;\nMCA b = 0.01 ;\n}\n"
    path.write_bytes(head.encode() + _counts().astype("<u2").tobytes())


def _statistics_edf(path: Path) -> None:
    head = "{\nDataType = SignedLong ;\nDim_1 = 6 ;\nDim_2 = 12 ;\n}\n"
    table = np.tile(np.array([0, 900, 1000, 990, 95, 5], "<i4"), (12, 1))
    path.write_bytes(head.encode() + table.tobytes())
    _edf(path.with_name(path.name.replace("_xiast_", "_xia00_")))


def _images_edf(path: Path) -> None:
    head = "{{\nDataType = FloatValue ;\nDim_1 = 4 ;\nDim_2 = 3 ;\nTitle = {} ;\n}}\n"
    values = np.arange(12, dtype="<f4").tobytes()
    path.write_bytes(b"".join(head.format(name).encode() + values for name in ("Fe K", "s(Fe K)", "Ca Ka")))


def _datamuncher(path: Path) -> None:
    values = np.arange(1, 25, dtype="<f4")
    stored = values.tobytes() if path.suffix == ".dms" else " ".join(map(str, values)).encode()
    path.write_bytes(b"2\n4 3 2\n" + stored + b"\nFe-K\nCa-Ka\n")


def _spectrum_xml() -> str:
    channels = ",".join(str(at % 7) for at in range(64))
    return (
        '<ClassInstance Type="TRTSpectrum" Name="a"><TRTHeaderedClass>'
        '<ClassInstance Type="TRTSpectrumHardwareHeader"><LifeTime>1000</LifeTime></ClassInstance>'
        "</TRTHeaderedClass>"
        '<ClassInstance Type="TRTSpectrumHeader"><ChannelCount>64</ChannelCount><CalibAbs>-0.9</CalibAbs>'
        f"<CalibLin>0.01</CalibLin></ClassInstance><Channels>{channels}</Channels></ClassInstance>"
    )


def _spx(path: Path) -> None:
    path.write_text(f'<?xml version="1.0"?><TRTSpectrum>{_spectrum_xml()}</TRTSpectrum>')


def _rtx(path: Path) -> None:
    path.write_text(f'<?xml version="1.0"?><TRTProject>{_spectrum_xml() * 3}</TRTProject>')


def _csv_matrix(path: Path) -> None:
    path.write_text("\n".join("\t".join(str(at * row) for at in range(6)) for row in range(6)))


def _image(path: Path) -> None:
    import tifffile

    tifffile.imwrite(path, np.arange(48, dtype=np.uint16).reshape(6, 8))


def _emsa(path: Path) -> None:
    io.write(path, Spectrum(np.arange(64), EnergyAxis(0.0, 0.01, 64)))


def _emd(path: Path) -> None:
    """Write an .emd file by RosettaSciIO."""
    from importlib import import_module

    names = (("y", "um", True), ("x", "um", True), ("Energy", "keV", False))
    axes = [
        {"name": name, "units": units, "navigate": moved, "size": size, "scale": 0.01, "offset": 0.0,
         "index_in_array": at, "_type": "UniformDataAxis"}
        for at, ((name, units, moved), size) in enumerate(zip(names, (3, 4, 64), strict=True))
    ]  # fmt: skip
    signal = {"data": _counts(), "axes": axes, "metadata": {"General": {"title": "a"}, "Signal": {}},
              "original_metadata": {}, "attributes": {"_lazy": False}, "package": "", "package_version": "",
              "learning_results": {}, "models": None}  # fmt: skip
    import_module("rsciio.emd").file_writer(str(path), signal)


def _several(*names: str) -> Callable[[Path], None]:
    """Return a writer of a spectrum and of copies of it, for what is a folder of files."""

    def write(path: Path) -> None:
        for name in (path.name, *names):
            _text("<<PMCA SPECTRUM>>\n<<DATA>>\n", "<<END>>\n")(path.with_name(name))

    return write


def _folder(path: Path) -> Any:
    return io.read(path.parent)


def _p06(path: Path) -> None:
    """Write a file of the detector; where its frames belong stands in another folder."""
    hdf5_files.petra_p06(path)
    places = path.parent / "scan" / "pilctriggergenerator_01" / "a.nxs"
    places.parent.mkdir(parents=True, exist_ok=True)
    (path.parent / "scan" / "xspress3_01").mkdir(exist_ok=True)
    with h5py.File(places, "w") as file:
        x, y = np.meshgrid(np.arange(4.0), np.arange(3.0))
        file["entry/data/encoder1"], file["entry/data/encoder2"] = x.ravel(), y.ravel()


def _scan_of_p06(path: Path) -> Any:
    frames = path.parent / "scan" / "xspress3_01" / "a.nxs"
    shutil.copy(path, frames)
    return io.read(frames)


def _fit(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["MAPS/XRF_Analyzed/NNLS/Counts_Per_Sec"] = np.arange(36, dtype=np.float32).reshape(3, 3, 4)
        file["MAPS/XRF_Analyzed/NNLS/Channel_Names"] = np.array(["Fe", "Ca", "Pb_L"], dtype="S")


def _pymca_fit(path: Path) -> None:
    with h5py.File(path, "w") as file:
        for group in ("parameters", "uncertainties"):
            for name in ("Fe_K", "Pb_L"):
                file[f"images/xrf_fit/results/{group}/{name}"] = np.arange(6.0).reshape(2, 3)


def _table_of_pymca(path: Path) -> None:
    rows = (f"{y}  {x}  {y + x}  1" for y in range(3) for x in range(4))
    path.write_text("\n".join(["row  column  Fe_K  s(Fe_K)", *rows]) + "\n")


def _stack(path: Path) -> None:
    import tifffile

    pages = np.arange(96, dtype=np.uint16).reshape(2, 6, 8)
    tifffile.imwrite(path, pages, imagej=True, metadata={"Labels": ["Fe K", "Ca K"], "axes": "ZYX"})


def _model(path: Path) -> None:
    from napari_xrf.learning.weights import save_model
    from untrained_models import untrained_model

    save_model(path, untrained_model("line-mlp", network={"hidden": 8, "depth": 1}))


def _checkpoint_file(path: Path) -> None:
    from napari_xrf.learning.training import train
    from small_models import small_recipe

    folder = path.with_name("training")
    train(small_recipe("line-mlp", epochs=1, steps=1, network={"hidden": 8, "depth": 1}), folder=folder)
    shutil.copy(folder / "checkpoint.safetensors", path)


def _generator_file(path: Path) -> None:
    from napari_xrf.learning.painting.generator import shipped_weights

    shutil.copy(shipped_weights(), path)


def _prediction_file(path: Path) -> None:
    from napari_xrf.learning.prediction.answers import predict_spectra
    from napari_xrf.learning.prediction.files import write_prediction
    from untrained_models import untrained_model

    model = untrained_model("line-mlp", network={"hidden": 8, "depth": 1})
    axis = model.description.axis
    write_prediction(path, predict_spectra(model, np.ones((3, axis.size)), axis))


def _preset(path: Path) -> None:
    from napari_xrf.physics.instrument import _PRESETS

    path.write_text((_PRESETS / "m4-tornado.toml").read_text())


def _geojson(path: Path) -> None:
    square = [[0, 0], [0, 4], [4, 4], [4, 0], [0, 0]]
    feature = {"type": "Feature", "properties": {"name": "a", "color": [1, 2, 3]},
               "geometry": {"type": "Polygon", "coordinates": [square]}}  # fmt: skip
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature], "pixel_size_um": [1, 2]}))


def _manifest_file(path: Path) -> None:
    entry = {"file": "a.h5", "folder": "a", "verb": "maps", "recipe": "1", "status": "done", "seconds": 1.0,
             "error": "", "warnings": [], "input": {}, "files": ["maps.h5"], "version": "1"}  # fmt: skip
    path.write_text((json.dumps(entry) + "\n") * 3)


def _png(path: Path) -> None:
    from PIL import Image

    Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).save(path)


_CUBES: tuple[Reader, ...] = (io.read, _lazily)
_TABLES = {
    "library.csv": ("name,formula,density,color\nmine,Fe2O3,5.2,#102030\nother,SiO2,2.6,#808080\n", _library),
    "pigments.csv": ("name,formula,color,density\nmine,Fe2O3,#102030,5\nother,PbCO3,#ffffff,6\n", _pigments),
    "measured.csv": (
        "energy_keV,a,b\ncolor,#102030,#ffffff\n1.0,1,2\n1.1,3,4\n1.2,5,6\n",
        _measured_pigments,
    ),
    "truth.csv": ("file,element,weight_percent\na.spx,Fe,12.5\na.spx,Si,30\n", _truth),
    "fit.cfg": ("[detector]\nzero = 0.0\ngain = 0.01\n[peaks]\nFe = K\nPb = L, M\n", _pymca),
}
_LAYOUTS = ("gse", "pyxrf", "maps_v10", "maps_v9", "hyperspy", "xproc", "pymca_stack", "bliss", "diamond_i18",
            "nxfluo", "xspress3_raw", "nanomax", "soleil", "oxford", "bliss_snake", "pymca_two_axes",
            "xismus", "nexus", "nexus_detector_axis", "hyperspy_listed", "aps_confocal", "bliss_loops",
            "bliss_parameters", "nanomax_rows", "soleil_snake", "nexus_named_places",
            "hyperspy_stack", "hyperspy_images", "cls", "sirius", "nexus_auxiliary", "nexus_scattered",
            "bliss_stopped", "edax_arrays", "soleil_numbered", "crono",
            "chess_phynx", "hyperspy_x_first", "maps_raw", "edax")  # fmt: skip

SEEDS: dict[str, Seed] = {
    **{f"{name}.h5": Seed(getattr(hdf5_files, name), _CUBES) for name in _LAYOUTS},
    "own.h5": Seed(_cube, (*_CUBES, io.read_truth, io.list_datasets)),
    "plain.bcf": Seed(lambda path: write_bcf(path, _counts().astype(int)), _CUBES),
    "packed.bcf": Seed(lambda path: write_bcf(path, _counts().astype(int), compressed=True), _CUBES),
    "two.bcf": Seed(lambda path: write_bcf(path, np.stack([_counts(), _counts(1)]).astype(int)), _CUBES),
    "map.rpl": Seed(_rpl, _CUBES),
    "raw.rpl": Seed(_rpl, _CUBES, damaged=".raw"),
    "row.edf": Seed(_edf, _CUBES),
    "a_xiast_0001_0000_0000.edf": Seed(_statistics_edf, _CUBES),
    "images.edf": Seed(_images_edf, (io.read_element_maps, io.read)),
    "map.dms": Seed(_datamuncher, (io.read_element_maps,)),
    "map.ims": Seed(_datamuncher, (io.read_element_maps,)),
    "a.spx": Seed(_spx, (io.read, io.read_spectrum)),
    "a.rtx": Seed(_rtx, (io.read, _all_maps)),
    "chain.pdz": Seed(_pdz, (io.read, _all_maps)),
    "block.pdz": Seed(
        lambda path: path.write_bytes(pdz_files.block([at % 7 for at in range(64)])), (io.read,)
    ),
    "itrax.spe": Seed(
        _text(
            "E1\t0.02\tkeV/channel\nTube anode:\tMo\t\nlivetime\t9.5\ts\nchannel\tcontent\n", numbered="\t"
        ),
        (io.read,),
        endless=True,
    ),
    "handheld.csv": Seed(
        _text(
            "S1PXRF Spectrum\nLive Time,9.5\neV per channel,20\nNumber of Channels,64\nChannel#,I\n",
            numbered=",",
        ),
        (io.read, io.read_spectrum),
    ),
    "cabinet.csv": Seed(
        _text(
            "Na   Rh 50 1000-Auto\nPoints : 64\nRange : 0.1 - 1.3\nStep : 0.02\nChannel_info\n",
            "Points : 0\n",
        ),
        (io.read,),
    ),
    "horiba.txt": Seed(
        _text("Live Time(s)\t60\nEnergy of ch(eV)\t20.0\nNum. of ch\t64\n"), (io.read, io.read_element_maps)
    ),
    "columns.csv": Seed(_columns, (io.read, _all_maps), endless=True),
    "logs.txt": Seed(_logarithms, (io.read,), endless=True),
    "a.msa": Seed(_emsa, (io.read, io.read_spectrum)),
    "spectrum.csv": Seed(_emsa, (io.read, io.read_spectrum), endless=True),
    "a.mca": Seed(
        _text("<<PMCA SPECTRUM>>\n<<CALIBRATION>>\n1 0.1\n9 0.9\n<<DATA>>\n", "<<END>>\n"), (io.read,)
    ),
    "spec.mca": Seed(_spec, (io.read, _all_maps)),
    "epics.mca": Seed(
        _text("VERSION: 3.1\nELEMENTS: 1\nCHANNELS: 64\nCAL_OFFSET: 0\nCAL_SLOPE: 0.01\nDATA:\n"), (io.read,)
    ),
    "plain.mca": Seed(_text(""), (io.read,), endless=True),
    "plain.txt": Seed(_text(""), (io.read, io.read_element_maps), endless=True),
    "columns.msa": Seed(
        _text("#FORMAT: EMSA/MAS\n#NPOINTS: 32\n#NCOLUMNS: 2\n#DATATYPE: YY\n#SPECTRUM:\n", "#ENDOFDATA:\n"),
        (io.read,),
    ),
    "r1_c1.mca": Seed(_several("r1_c2.mca", "r2_c1.mca", "r2_c2.mca"), (_folder,)),
    "frames.nxs": Seed(_p06, (_scan_of_p06, io.read)),
    "sample.h5": Seed(_fly_scan, (_frames_beside,)),
    "smak.h5": Seed(_smak, (io.read_element_maps,)),
    "maps.h5oina": Seed(_oxford_maps, (io.read_element_maps, io.read)),
    "fit.h5": Seed(_fit, (io.read_element_maps,)),
    "pymca.h5": Seed(_pymca_fit, (io.read_element_maps,)),
    "pymca.dat": Seed(_table_of_pymca, (io.read_element_maps,)),
    "stack.tif": Seed(_stack, (io.read_element_maps,)),
    "a.spe": Seed(_text("$MCA_CAL:\n3\n0 0.01 0 keV\n$DATA:\n0 63\n"), (io.read,)),
    "a.emd": Seed(_emd, _CUBES),
    "a.ser": Seed(lambda path: path.write_bytes(ser_file(_counts())), _CUBES),
    "labels.tif": Seed(lambda path: io.write(path, _labels()), (io.read_labels,)),
    "labels.h5": Seed(lambda path: io.write(path, _labels()), (io.read_labels,)),
    "labels.csv": Seed(lambda path: io.write(path, _labels()), (io.read_labels,)),
    "maps.ome.tif": Seed(lambda path: io.write(path, _maps()), (io.read_element_maps,)),
    "maps.h5": Seed(lambda path: io.write(path, _maps()), (io.read_element_maps,)),
    "maps.csv": Seed(lambda path: io.write(path, _maps()), (io.read_element_maps,)),
    "Fe.txt": Seed(_csv_matrix, (io.read_element_maps,)),
    "Ca.tif": Seed(_image, (io.read_element_maps, io.read_labels)),
    "abundances.h5": Seed(
        lambda path: io.write(path, Abundances(np.full((3, 4, 2), 0.5, np.float32), _labels().classes)),
        (io.read_abundances,),
    ),
    "model.safetensors": Seed(_model, (_weights,)),
    "state.safetensors": Seed(_checkpoint_file, (_checkpoint,)),
    "painting.safetensors": Seed(_generator_file, (_generator,)),
    "prediction.h5": Seed(_prediction_file, (_prediction,)),
    "instrument.toml": Seed(_preset, (_instrument,)),
    "regions.geojson": Seed(_geojson, (_regions,)),
    "entries.jsonl": Seed(_manifest_file, (_manifest,)),
    "picture.png": Seed(_png, (_picture,)),
    **{
        name: Seed(lambda path, text=text: path.write_text(text), (reader,))
        for name, (text, reader) in _TABLES.items()
    },
}
