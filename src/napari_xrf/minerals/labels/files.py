"""What is written of a label map: its files, modal table, picture and tables of grains."""

from pathlib import Path

from napari_xrf.core.abundances import Abundances
from napari_xrf.core.label_map import LabelMap
from napari_xrf.io.own.label_files import write_labels
from napari_xrf.minerals.labels.grains import write_grain_tables
from napari_xrf.minerals.labels.modal_table import ModalRow, modal_table, write_modal_table
from napari_xrf.minerals.labels.picture import write_label_picture


def write_label_files(
    folder: Path, labels: LabelMap, abundances: Abundances | None = None
) -> tuple[tuple[ModalRow, ...], list[Path]]:
    """Write labels.tif, labels.h5, classes.csv, map.png and tables of grains; return modal rows and files."""
    rows = modal_table(labels, abundances)
    files = [folder / name for name in ("labels.tif", "labels.h5", "classes.csv", "map.png")]
    write_labels(files[0], labels)
    write_labels(files[1], labels)
    write_modal_table(files[2], rows)
    write_label_picture(files[3], labels, rows)
    return rows, files + write_grain_tables(folder, labels)
