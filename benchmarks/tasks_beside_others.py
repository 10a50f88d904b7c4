"""Processor time of what three programs all do with a map, each task in a process of its own.

    python -m benchmarks.tasks_beside_others [--elements K,Ca,Mn,Fe,Rb] [--shape 75 100]

Prints seconds of user and system time, with those of importing the program in brackets. Each opens a
synthetic pegmatite as its users do in a script: HyperSpy from its own .hspy, the others from HDF5. All fit
the same elements; PyMca and HyperSpy get the axis, napari-xrf refines it. What napari-xrf compiles once on a
machine is not counted.
"""

from __future__ import annotations

import argparse
import contextlib
import io as text_io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

_PROGRAMS = ("napari-xrf", "PyMca", "HyperSpy")
_TASKS = ("sum", "window", "fit")
_WINDOW_KEV = (6.2, 6.6)
_FIT_KEV = (1.0, 18.0)
_COUNTS, _ENERGIES = "/map/data/counts", "/map/data/energy"


def main() -> None:
    """Print a line for each task and program."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--elements", default="K,Ca,Mn,Fe,Rb")
    parser.add_argument("--shape", type=int, nargs=2, default=(75, 100), metavar=("ROWS", "COLUMNS"))
    parser.add_argument("--job", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.job:
        with contextlib.redirect_stdout(text_io.StringIO()):
            answer = measure(*given.job, given.elements.split(","))
        print(json.dumps(answer))
        return
    with tempfile.TemporaryDirectory() as folder:
        write_maps(Path(folder), tuple(given.shape))
        run_in_process("napari-xrf", "fit", folder, given.elements)  # compiles
        for task in _TASKS:
            for program in _PROGRAMS:
                found = run_in_process(program, task, folder, given.elements)
                print(f"{task:8s} {program:12s} {found}", flush=True)


def write_maps(folder: Path, shape: tuple[int, int]) -> None:
    """Write the same map as HDF5 and for HyperSpy."""
    from napari_xrf import io
    from napari_xrf.synthesis.pegmatite import synthesize_pegmatite

    cube = synthesize_pegmatite(shape=shape, generator=np.random.default_rng(7)).cube
    io.write_cube(folder / "map.h5", cube)
    cube.to_hyperspy().save(folder / "map.hspy")


def run_in_process(program: str, task: str, folder: str, elements: str) -> str:
    """Return a line of seconds, those of the imports, and counts that were found."""
    command = [sys.executable, "-m", "benchmarks.tasks_beside_others", "--elements", elements]
    command += ["--job", program, task, folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return f"failed: {done.stderr.strip().splitlines()[-1]}"
    used, imported, counts = json.loads(done.stdout)
    return f"{used:7.2f} s ({imported:5.2f} s)   {counts:,.0f} counts"


def measure(program: str, task: str, folder: str, elements: Sequence[str]) -> tuple[float, float, float]:
    """Import a program, do its task, and return both times and the counts of the answer."""
    tasks = {"napari-xrf": ours, "PyMca": pymca, "HyperSpy": hyperspy}[program]()
    began = _processor()
    answer = tasks[task](str(Path(folder) / ("map.hspy" if program == "HyperSpy" else "map.h5")), elements)
    return _processor() - began, began, float(np.nansum(answer))


def ours() -> dict[str, Callable[..., Any]]:
    """Return our tasks."""
    import napari_xrf as nx

    nx.read, nx.map_elements  # noqa: B018 - opens the rooms
    return {
        "sum": lambda path, _: nx.read(path).sum_spectrum(),
        "window": lambda path, _: nx.read(path).window_map(*_WINDOW_KEV),
        "fit": lambda path, elements: nx.map_elements(path, list(elements)).counts,
    }


def pymca() -> dict[str, Callable[..., Any]]:
    """Return PyMca's tasks."""
    from PyMca5.PyMcaIO.HDF5Stack1D import HDF5Stack1D
    from PyMca5.PyMcaPhysics.xrf.ClassMcaTheory import McaTheory
    from PyMca5.PyMcaPhysics.xrf.FastXRFLinearFit import FastXRFLinearFit

    def load(path: str) -> tuple[Any, float, float]:
        with h5py.File(path) as file:
            energies = file[_ENERGIES][:2].astype(float)
        return HDF5Stack1D([path], {"y": [_COUNTS], "x": [], "m": []}).data, energies[0], np.diff(energies)[0]

    def window(path: str, _: Any) -> Any:
        counts, offset, width = load(path)
        low, high = (round((energy - offset) / width) for energy in _WINDOW_KEV)
        return counts[..., low:high].sum(axis=-1)

    def fit(path: str, elements: Sequence[str]) -> Any:
        counts, offset, width = load(path)
        given = McaTheory().getConfiguration()
        given["peaks"] = dict.fromkeys(elements, "K")
        given["detector"].update(zero=offset, gain=width, fixedzero=1, fixedgain=1)
        low, high = (round((energy - offset) / width) for energy in _FIT_KEV)
        given["fit"].update(
            xmin=low, xmax=high, use_limit=1, stripflag=1, stripalgorithm=1, linearfitflag=1,
            energy=[50.0], energyweight=[1.0], energyflag=[1], energyscatter=[0], scatterflag=0,
        )  # fmt: skip
        worker = FastXRFLinearFit()
        worker.setFitConfiguration(given)
        found = worker.fitMultipleSpectra(y=counts, weight=0, refit=1, concentrations=False)
        return found["parameters"]

    return {"sum": lambda path, _: load(path)[0].sum(axis=(0, 1)), "window": window, "fit": fit}


def hyperspy() -> dict[str, Callable[..., Any]]:
    """Return HyperSpy's tasks, with eXSpy."""
    import exspy  # noqa: F401 - its signals
    import hyperspy.api as hs

    def fit(path: str, elements: Sequence[str]) -> Any:
        signal = hs.load(path)
        signal.set_signal_type("EDS_SEM")  # it has no type for X-ray tubes
        signal.metadata.set_item("Acquisition_instrument.SEM.beam_energy", 50.0)
        signal.set_elements(list(elements))
        signal.set_lines([f"{element}_Ka" for element in elements])
        model = signal.isig[_FIT_KEV[0] : _FIT_KEV[1]].create_model()
        model.fit_background()
        model.multifit(optimizer="lstsq", iterpath="serpentine", show_progressbar=False)
        return [each.data for each in model.get_lines_intensity()]

    return {
        "sum": lambda path, _: hs.load(path).sum().data,
        "window": lambda path, _: hs.load(path).isig[_WINDOW_KEV[0] : _WINDOW_KEV[1]].sum(-1).data,
        "fit": fit,
    }


def _processor() -> float:
    """Return the seconds that this process, its threads and its children have computed."""
    return sum(os.times()[:4])


if __name__ == "__main__":
    main()
