"""The package's work in an interpreter that finds no torch; prints what came of it as JSON.

Run by ``test_without_networks.py``: python work_without_torch.py FOLDER
"""

import contextlib
import io
import json
import os
import sys
from importlib import import_module
from importlib.machinery import PathFinder
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

_find = PathFinder.find_spec
PathFinder.find_spec = lambda name, path=None, target=None: (
    None if name.partition(".")[0] == "torch" else _find(name, path, target)
)


def in_python(folder: Path, prediction: Path) -> dict:
    import napari_xrf as nx

    made = nx.synthesize("minerals", ["quartz", "calcite", "pyrite"], shape=(10, 12), seed=1)
    nx.write(folder / "rock.h5", made)
    cube = nx.read(folder / "rock.h5")
    best = nx.map_minerals(cube, ["quartz", "calcite", "pyrite"], method="best")
    nx.write(folder / "labels.tif", best.label_map)
    refused = {}
    for name, call in {
        "predict": lambda: nx.predict("mineral-cnn", cube),
        "train": lambda: nx.train("mineral-cnn"),
        "map_elements": lambda: nx.map_elements(cube, method="element-mlp"),
        "map_minerals": lambda: nx.map_minerals(cube, method="mineral-mlp"),
    }.items():
        try:
            call()
        except nx.XrfError as error:
            refused[name] = str(error)
    return {
        "elements": [each.element for each in nx.find_elements(cube)],
        "maps": list(nx.map_elements(cube, ["Fe", "Ca"]).families),
        "classes": [each.name for each in nx.read(folder / "labels.tif").classes],
        "notes": list(best.choice.notes),
        "prediction": list(nx.read(prediction).names),
        "refused": refused,
    }


def on_the_command_line(folder: Path) -> dict:
    from napari_xrf.cli import main

    answers = {}
    rock = str(folder / "rock.h5")
    for words in (
        ["info", rock],
        ["models"],
        ["denoise", rock, "-o", str(folder / "clean.h5")],
        ["predict", "mineral-cnn", rock, "-o", str(folder / "predictions")],
        ["minerals", rock, "-o", str(folder / "minerals"), "--method", "mineral-mlp"],
        ["maps", rock, "-o", str(folder / "maps"), "--method", "network"],
        ["train", "mineral-cnn", "-o", str(folder / "trained")],
        ["train", "painting-generator", "-o", str(folder / "painter")],
    ):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as told:
            code = main(words)
        answers[" ".join(words[:2] if words[0] == "train" else words[:1])] = [code, told.getvalue()]
    return answers


def in_the_window(folder: Path) -> dict:
    from napari.components import ViewerModel
    from napari.layers import Layer
    from npe2 import PluginManifest
    from qtpy.QtWidgets import QApplication, QLabel

    import napari_xrf
    from napari_xrf.plugin.readers import get_reader

    class Viewer(ViewerModel):
        window: ClassVar = SimpleNamespace(dock_widgets={})

    application, viewer, rock = QApplication([]), Viewer(), str(folder / "rock.h5")
    for data in get_reader(rock)(rock):
        viewer.add_layer(Layer.create(*data))
    manifest = PluginManifest.from_file(Path(napari_xrf.__file__).parent / "napari.yaml").contributions
    commands = {}
    for each in manifest.commands:
        module, _, name = each.python_name.partition(":")
        commands[each.id] = getattr(import_module(module), name)
    docks = {}
    for widget in manifest.widgets:
        dock = commands[widget.command](viewer)
        application.processEvents()
        docks[widget.display_name] = [label.text() for label in dock.findChildren(QLabel)]
        dock.job_bar.release()
    return docks


if __name__ == "__main__":
    place = Path(sys.argv[1])
    done = {
        "python": in_python(place, Path(sys.argv[2])),
        "command line": on_the_command_line(place),
        "docks": in_the_window(place),
        "loaded": "torch" in sys.modules,
    }
    print(json.dumps(done), flush=True)
    os._exit(0)  # previews that the docks have begun need not end
