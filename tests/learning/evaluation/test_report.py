from __future__ import annotations

import json

import numpy as np

from napari_xrf.learning.evaluation.probability_calibration import reliability_curve
from napari_xrf.learning.evaluation.results import Evaluation, FigureTable, RobustnessCurve, write_evaluation

FOUND = Evaluation(
    model="mine",
    task="minerals",
    data="rock.h5",
    spectra=3,
    tables=(
        FigureTable(
            "Minerals",
            {"mine": {"accuracy": 0.987654}, "likelihood": {"accuracy": float("nan"), "spectra": 3}},
        ),
    ),
    reliability=reliability_curve([0.9, 0.8, 0.2], [1, 1, 0]),
    confusion=np.array([[2, 0], [0, 1]]),
    classes=("quartz", "unknown"),
    curves=(RobustnessCurve("counts", "", "accuracy", (10.0, 1000.0), (0.5, 0.9)),),
    notes=("one sentence",),
)


def test_json_holds_no_nan_and_reads_back() -> None:
    stored = json.loads(json.dumps(FOUND.as_json(), allow_nan=False))
    assert stored["tables"]["Minerals"]["likelihood"]["accuracy"] is None
    assert stored["confusion"]["spectra"] == [[2, 0], [0, 1]]
    assert stored["curves"][0]["scores"] == [0.5, 0.9]
    assert None in stored["reliability"]["frequency"]


def test_text_has_every_row_column_and_note() -> None:
    text = FOUND.as_markdown()
    assert "| mine | 0.9877 | – |" in text
    assert "| likelihood | – | 3 |" in text
    assert "Against counts" in text
    assert "- one sentence" in text


def test_files_and_pictures_are_written(tmp_path) -> None:
    names = [path.name for path in write_evaluation(tmp_path / "new" / "folder", FOUND)]
    assert names == [
        "evaluation.json",
        "evaluation.md",
        "confusion.png",
        "reliability.png",
        "against-counts.png",
    ]
    assert (tmp_path / "new" / "folder" / "confusion.png").read_bytes()[:4] == b"\x89PNG"
