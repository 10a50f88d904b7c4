"""Files with bytes changed, cut or repeated: every reader answers, or says in an XrfError why not."""

from __future__ import annotations

import contextlib
import random

import numpy as np
import pytest

import hdf5_files
from bruker_files import write_bcf
from napari_xrf import io
from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import XrfError
from napari_xrf.core.label_map import LabelClass, LabelMap
from napari_xrf.core.spectrum import Spectrum

TOKENS = (b"nan", b"-1", b"1e400", b"99999999999999999999", b"", b"\xff\xfe", b"[[[[", b"1e24", b",", b"\0")


def write_text(path, head: str) -> None:
    path.write_text(head + "\n".join(str(at % 7) for at in range(64)) + "\n")


WRITERS = {
    "a.h5": hdf5_files.bliss_snake,
    "b.nxs": hdf5_files.nexus_x_first,
    "c.h5": hdf5_files.pymca_two_axes,
    "d.h5oina": hdf5_files.oxford,
    "e.hspy": hdf5_files.hyperspy,
    "f.bcf": lambda path: write_bcf(path, np.ones((3, 4, 64), dtype=int)),
    "g.msa": lambda path: io.write(path, Spectrum(np.arange(64), EnergyAxis(0.0, 0.01, 64))),
    "h.mca": lambda path: write_text(path, "<<PMCA SPECTRUM>>\n<<CALIBRATION>>\n1 0.1\n9 0.9\n<<DATA>>\n"),
    "i.spe": lambda path: write_text(path, "$MCA_CAL:\n3\n0 0.01 0 keV\n$DATA:\n0 63\n"),
    "j.csv": lambda path: io.write(path, LabelMap(np.ones((3, 4), np.uint8), (LabelClass(1, "quartz"),))),
    "k.tif": lambda path: io.write(path, LabelMap(np.ones((3, 4), np.uint8), (LabelClass(1, "quartz"),))),
}


@pytest.mark.parametrize("name", WRITERS)
def test_changed_files_end_in_an_answer_or_an_error_for_users(tmp_path, name):
    path = tmp_path / name
    WRITERS[name](path)
    whole = path.read_bytes()
    draw = random.Random(name)
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(draw.choice((1, 1, 2, 5, 20))):
            at = draw.randrange(min(len(data), draw.choice((2000, len(data)))))
            kind = draw.randrange(4)
            if kind == 0:
                data[at] = draw.randrange(256)
            elif kind == 1:
                data[at : at + draw.randrange(1, 8)] = draw.choice(TOKENS)
            elif kind == 2:
                del data[max(at, 30) : at + draw.randrange(1, 400)]
            else:
                data[at:at] = data[at // 2 : at // 2 + draw.randrange(1, 60)]
        path.write_bytes(data)
        io.recognizes(path)
        for read in (io.read, io.read_labels, io.read_element_maps):
            with contextlib.suppress(XrfError):
                read(path)
