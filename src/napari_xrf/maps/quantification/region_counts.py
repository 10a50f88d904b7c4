"""Net counts of elements in regions: one row for each region, one column for each line family."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xrf.core.emission_lines import split_family
from napari_xrf.core.errors import InvalidInput
from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.io.own.tables import write_rows
from napari_xrf.maps.calibrated_map import Measured, calibrate_map
from napari_xrf.maps.quantification.net_counts import NetCounts, net_counts, region_of, shown_beside


@dataclass(frozen=True, eq=False)
class RegionCounts:
    """What is counted in a region."""

    region: str  # its name
    pixels: int  # its size
    seconds: float | None  # live time of its pixels; None where the map has none
    families: Mapping[str, NetCounts]  # family → net counts, "Fe K"


def count_regions(
    measured: Measured,
    regions: Mapping[str, NDArray[np.bool_]],
    elements: Sequence[str] | None = None,
    *,
    progress: Progress = ignore_progress,
) -> tuple[RegionCounts, ...]:
    """Return the net counts of elements in regions, each fitted as a spectrum of its own.

    Raises InvalidInput when there is no region, a region holds no counts, or no element is found or given.

    ``regions``: name → mask (Y, X). ``elements``: symbols; None takes those found in the map.
    """
    if not regions:
        raise InvalidInput("there is no region", "Draw one, or choose a label map")
    known = calibrate_map(measured, progress=progress)
    wanted = list(elements) if elements else [entry.element for entry in known.elements]
    if not wanted:
        raise InvalidInput("no element was found to count", "Name the elements")
    beside = shown_beside(known, wanted, progress)
    times = known.cube.live_time
    rows = []
    for done, (name, mask) in enumerate(regions.items()):
        progress(done, len(regions), "counting")
        fitted = net_counts(region_of(known, mask, name), (*wanted, *beside))
        counts = {family: net for family, net in fitted.items() if split_family(family)[0] in wanted}
        seconds = None if times is None else float(times[mask].sum())
        rows.append(RegionCounts(name, int(mask.sum()), seconds, counts))
    progress(len(regions), len(regions), "counting")
    return tuple(rows)


def families_of_rows(rows: Sequence[RegionCounts]) -> tuple[str, ...]:
    """Return the families of all rows, in the order of the first that has them."""
    return tuple(dict.fromkeys(family for row in rows for family in row.families))


def write_region_counts(path: str | Path, rows: Sequence[RegionCounts]) -> None:
    """Write rows as a table (.csv): counts, standard errors and detection limits of each family."""
    families = families_of_rows(rows)
    columns = [f"{family} {what}" for family in families for what in ("counts", "error", "limit")]
    told = []
    for row in rows:
        cells: list[Any] = [row.region, row.pixels, row.seconds]
        for family in families:
            net = row.families.get(family)
            cells += [None] * 3 if net is None else [net.counts, net.error, net.limit]
        told.append(cells)
    write_rows(path, ["region", "pixels", "live_time_s", *columns], told)
