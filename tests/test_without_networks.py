"""Where PyTorch is not installed all but the networks works, and they say what to install."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from napari_xrf.learning.prediction.files import write_prediction
from napari_xrf.learning.prediction.prediction import Prediction
from napari_xrf.learning.weights import read_description

HOW = 'pip install ".[networks]"'
NEED_NETWORKS = {"Model inference", "Edit code", "Train"}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work")
    description = read_description("mineral-cnn")
    unknown = np.ones((2, 3), dtype=np.float32)
    probability = np.zeros((2, 3, len(description.names)), dtype=np.float32)
    write_prediction(
        folder / "said.h5",
        Prediction(description, unknown, probability, unknown=unknown),
    )
    program = Path(__file__).parent / "work_without_torch.py"
    ran = subprocess.run(
        [sys.executable, program, folder, folder / "said.h5"],
        capture_output=True,
        text=True,
        env=os.environ | {"QT_QPA_PLATFORM": "offscreen"},
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1]) | {"folder": folder}


def test_python_does_all_but_networks(done):
    work = done["python"]
    assert not done["loaded"]
    assert {"Si", "S", "Ca", "Fe"} <= set(work["elements"])
    assert work["maps"] == ["Fe K", "Ca K"]
    assert any("quartz" in name for name in work["classes"])
    assert len(work["prediction"]) > 10
    assert [note for note in work["notes"] if "mineral-mlp is left out" in note and HOW in note]


def test_python_says_what_networks_need(done):
    refused = done["python"]["refused"]
    assert set(refused) == {"predict", "train", "map_elements", "map_minerals"}
    assert all("PyTorch" in text and HOW in text for text in refused.values())


def test_the_command_line_does_all_but_networks_and_leaves_nothing_of_them(done):
    answers = done["command line"]
    assert {verb for verb, (code, _) in answers.items() if code == 0} == {"info", "models", "denoise"}
    assert all(HOW in told for code, told in answers.values() if code)
    left = {path.name for path in done["folder"].iterdir()}
    assert left == {"rock.h5", "labels.tif", "clean.h5", "said.h5"}


def test_every_dock_opens_and_those_of_networks_say_what_they_need(done):
    docks = done["docks"]
    saying = {title for title, labels in docks.items() if any(HOW in text for text in labels)}
    assert saying == NEED_NETWORKS
    assert len(docks) > 12
