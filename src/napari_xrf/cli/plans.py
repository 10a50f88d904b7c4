"""The options by which a verb makes a plan, follows it and works on a part of a map."""

from __future__ import annotations

import argparse
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_xrf.cli.console import Answer, Console
from napari_xrf.cli.map_file import calibrated, check_folder, load_map, output_folder, read_map
from napari_xrf.core.errors import InvalidInput

if TYPE_CHECKING:
    from napari_xrf.core.spectral_cube import SpectralCube
    from napari_xrf.maps.calibrated_map import CalibratedMap
    from napari_xrf.scale.plans import Plan

_SHARD = re.compile(r"([0-9]{1,6})/([0-9]{1,6})")


def plan_options() -> argparse.ArgumentParser:
    """Return a parent parser with -o DIR, which a plan does without, and the options of plans."""
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument("-o", "--output", metavar="DIR", type=Path, help="folder to write to")
    group = parent.add_argument_group("parts of a map, and series of maps")
    group.add_argument(
        "--make-plan", metavar="P.npz", type=Path, help="write what is learned from the whole map, no more"
    )
    group.add_argument("--plan", metavar="P.npz", type=Path, help="take calibration and elements from a plan")
    group.add_argument("--shard", metavar="I/N", type=_shard, help="with --plan: part I, from 1, of N")
    return parent


def check_plan_options(arguments: argparse.Namespace, *, folder: bool = True) -> None:
    """Check what the user gave of plans and of the folder, before any work.

    Raises InvalidInput when options do not go together.
    """
    if arguments.make_plan is not None:
        if arguments.plan is not None or arguments.shard is not None:
            raise InvalidInput("a plan is made or followed", "Give --make-plan or --plan")
        check_folder(arguments.make_plan.parent)
    elif arguments.output is None and (folder or arguments.shard is not None):
        raise InvalidInput("there is no folder to write to", "Add -o DIR")
    if arguments.output is not None:
        check_folder(arguments.output)
    if arguments.shard is not None and arguments.plan is None:
        raise InvalidInput("a shard needs a plan", "Make one with --make-plan, then give --plan P.npz")


def followed_plan(arguments: argparse.Namespace, verb: str) -> Plan | None:
    """Return the plan that the options name, if they do."""
    if arguments.plan is None:
        return None
    from napari_xrf.scale.plans import read_plan

    return read_plan(arguments.plan, verb)


def known_map(arguments: argparse.Namespace, console: Console, plan: Plan | None) -> CalibratedMap:
    """Read and calibrate the map of the options, or take the calibration and elements of a plan."""
    cube = load_map(arguments, console)
    return calibrated(cube, console) if plan is None else plan.applied(cube)


def file_hash(path: Path) -> str:
    """Return what tells a file from another."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def written_plan(
    arguments: argparse.Namespace, known: CalibratedMap, learned: Any, answer: Any = None, **options: Any
) -> Answer:
    """Write the plan of a verb, with the options that later calls take over."""
    from napari_xrf.scale.packing import write_packed
    from napari_xrf.scale.plans import plan_of

    output_folder(arguments.make_plan.parent)
    plan = plan_of(arguments.verb, known, arguments.file, learned, answer, **options)
    write_packed(arguments.make_plan, plan)
    found = [entry.element for entry in plan.elements]
    data = {"plan": str(arguments.make_plan), "verb": plan.verb, "shape": list(plan.shape), "elements": found}
    return Answer(data, f"{arguments.make_plan}: plan of {plan.verb} for {' × '.join(map(str, plan.shape))}")


def shard_rows(
    arguments: argparse.Namespace, console: Console, plan: Plan, multiple: int = 1
) -> tuple[CalibratedMap, slice]:
    """Return the rows of the map that a shard works on, and which they are; read no sooner than asked for.

    Raises InvalidInput as :func:`shard_map`.
    """
    from napari_xrf.scale.shards import rows_of_shard

    cube = shard_map(arguments, console, plan)
    number, of = arguments.shard
    rows = rows_of_shard(number, of, cube.shape[0], multiple)
    return plan.applied(cube.band(rows), same_map=True), rows


def shard_map(arguments: argparse.Namespace, console: Console, plan: Plan) -> SpectralCube:
    """Return the map of which a shard is a part; nothing of it is read yet.

    Raises InvalidInput when the file is not the one that the plan was made from, or the plan has no shards.
    """
    if plan.learned is None:
        raise InvalidInput(f"this plan of {plan.verb} has no shards", "They are for maps of pixels")
    cube = read_map(arguments, console)
    if cube.shape != plan.shape or arguments.file.stat().st_size != plan.file_bytes:
        raise InvalidInput(
            f"{arguments.file} is not the map of the plan", "Leave --shard out for another map"
        )
    return cube


def written_shard(
    arguments: argparse.Namespace, plan: Plan, known: CalibratedMap, rows: slice, results: Mapping[str, Any]
) -> Answer:
    """Write the results of some rows of a map, for ``merge``."""
    from napari_xrf.scale.shards import Shard, write_shard

    number, of = arguments.shard
    identity, count = file_hash(arguments.plan), rows.stop - rows.start
    shard = Shard(
        plan.verb,
        identity,
        number,
        of,
        rows.start,
        count,
        results,
        known.cube.sum_spectrum().astype(np.float64),
        plan.sum_spectrum,
        plan.options,
        plan.answer,
    )
    path = write_shard(output_folder(arguments.output), shard)
    data = {"files": [str(path)], "shard": number, "of": of, "rows": [rows.start, rows.stop]}
    return Answer(data, f"{path}: rows {rows.start} to {rows.stop} of {plan.shape[0]}")


def _shard(text: str) -> tuple[int, int]:
    match = _SHARD.fullmatch(text)
    number, of = (int(part) for part in match.groups()) if match else (0, 0)
    if not 1 <= number <= of:
        raise argparse.ArgumentTypeError(f"{text!r} is no part; write 1/4, 2/4, 3/4 or 4/4")
    return number, of
