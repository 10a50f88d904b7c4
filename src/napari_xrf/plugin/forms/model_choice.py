"""Models to choose from: shipped ones by name, and weights files that were trained or opened in a viewer."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QSizePolicy, QWidget

from napari_xrf.core.errors import InvalidInput, XrfError
from napari_xrf.learning.description import ModelDescription
from napari_xrf.learning.prediction.suitability import default_element_model
from napari_xrf.learning.registry import ARCHITECTURES
from napari_xrf.learning.weights import SUFFIX, models_giving, read_description, shipped_models
from napari_xrf.minerals.method_choice import BEST, LIKELIHOOD
from napari_xrf.physics.instrument import Instrument
from napari_xrf.plugin.docks.dock import Dock
from napari_xrf.plugin.forms.parts import button, column, expanding, row
from napari_xrf.plugin.notices import errors_told

_MOST_FIGURES = 12
_OUTPUT_TEXTS = {
    "presence": "presence",
    "intensity": "net counts",
    "minerals": "mineral classes",
    "code": "code",
    "spectrum": "denoised spectra",
}


class ModelShelf(QObject):  # type: ignore[misc]
    """Weights files that were trained or opened in one viewer, the newest last."""

    added = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.paths: list[Path] = []

    def add(self, path: str | Path) -> Path:
        """Offer a weights file, or say anew that it was written.

        Raises FileError when it is none of ours; it is not offered then.
        """
        file = Path(path).resolve()
        read_description(file)
        if file not in self.paths:
            self.paths.append(file)
        self.added.emit(file)
        return file


def shelf_of(viewer: Any) -> ModelShelf:
    """Return the shelf of a viewer, the same for all its docks."""
    if viewer not in _shelves:
        _shelves[viewer] = ModelShelf()
    return _shelves[viewer]


# Docks of one viewer know nothing of each other; the shelf goes with the viewer.
_shelves: WeakKeyDictionary[Any, ModelShelf] = WeakKeyDictionary()


class ModelChoice(QWidget):  # type: ignore[misc]
    """Shipped models by name, models trained or opened in this viewer, and a button for a weights file.

    ``dock``: the dock whose viewer's shelf is offered too. ``accepts``: tells which models are offered; None:
    all.
    """

    chosen = Signal(object)

    def __init__(self, dock: Dock, accepts: Callable[[ModelDescription], bool] | None = None) -> None:
        super().__init__()
        self._accepts = accepts
        self._shelf = shelf_of(dock.viewer)
        self.box = expanding(QComboBox(), 8)
        self.box.setPlaceholderText("no model yet")
        self.file = button("Weights file…", f"Open a model of your own ({SUFFIX})", self._ask_file)
        self.file.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.setLayout(column(row(self.box, self.file), flush=True))
        for name in shipped_models():
            self._list(name, name)
        for path in self._shelf.paths:
            self._list(_short_name(path), str(path))
        if self.box.count():
            self.box.setCurrentIndex(0)
        self._show_hint()
        self._chosen_by_user = False
        self.box.activated.connect(lambda _: self._keep())
        self.box.currentIndexChanged.connect(lambda _: self._tell())
        dock.follow(self._shelf.added, self._take)

    def model(self) -> str:
        """Return the shipped model's name or the weights file's path; empty for none."""
        return str(self.box.currentData() or "")

    def description(self) -> ModelDescription | None:
        """Return what the chosen model is, None without one.

        Raises FileError when its weights file is damaged or gone.
        """
        return read_description(self.model()) if self.model() else None

    def choose(self, model: str) -> None:
        """Choose a listed model by name or path."""
        index = self.box.findData(model)
        if index >= 0:
            self.box.setCurrentIndex(index)

    def choose_for(self, instrument: Instrument) -> None:
        """Choose the shipped model for a map's instrument, unless the user has chosen one."""
        if not self._chosen_by_user:
            self.choose(default_element_model(instrument))

    def open_file(self, path: Path) -> None:
        """Offer a weights file and choose it.

        Raises FileError when it is none of ours, InvalidInput when the dock has no use for it.
        """
        self._keep()
        model = str(self._shelf.add(path))
        self.choose(model)
        if self.model() != model:
            raise InvalidInput(f"{path.name} is another kind of network than this dock works with")

    def _keep(self) -> None:
        self._chosen_by_user = True

    def _take(self, path: Path) -> None:
        index = self.box.findData(str(path))
        if index < 0:
            self._list(_short_name(path), str(path))
            if self.box.currentIndex() < 0:
                self.box.setCurrentIndex(self.box.count() - 1)
            return
        self.box.setItemData(index, _hint(str(path)), Qt.ItemDataRole.ToolTipRole)
        if index == self.box.currentIndex():
            self._tell()  # written anew: another description, other weights

    def _list(self, text: str, model: str) -> None:
        if not self._is_offered(model):
            return
        self.box.addItem(text, model)
        self.box.setItemData(self.box.count() - 1, _hint(model), Qt.ItemDataRole.ToolTipRole)

    def _is_offered(self, model: str) -> bool:
        try:
            return self._accepts is None or self._accepts(read_description(model))
        except XrfError:  # a file that was taken away meanwhile
            return False

    def _tell(self) -> None:
        self._show_hint()
        self.chosen.emit(self.model())

    def _show_hint(self) -> None:
        self.box.setToolTip(str(self.box.currentData(Qt.ItemDataRole.ToolTipRole) or ""))

    def _ask_file(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Choose a model", "", f"Weights (*{SUFFIX})")
        if path:
            with errors_told():
                self.open_file(Path(path))


class MethodMenu(QComboBox):  # type: ignore[misc]
    """Ways of naming minerals: the likelihood, models that name them, a user's own too, and the best.

    ``dock``: the dock whose viewer's shelf is offered too.
    """

    def __init__(self, dock: Dock) -> None:
        super().__init__()
        self._shelf = shelf_of(dock.viewer)
        expanding(self, 8)
        self.setToolTip("The best is told on synthetic twins of the map, which takes several times as long")
        self.addItem("Likelihood", LIKELIHOOD)
        for name in models_giving("minerals"):
            self.addItem(name, name)
        self.addItem("The best on twins of the map", BEST)
        for path in self._shelf.paths:
            self._take(path)
        dock.follow(self._shelf.added, self._take)

    def method(self) -> str:
        """Return the method as ``--method`` names it; the best is of those of "best" and the user's own."""
        from napari_xrf.learning.evaluation.method_choice import methods_of

        chosen = str(self.currentData())
        own = [str(self.itemData(place)) for place in range(self.count())][self.findData(BEST) + 1 :]
        return ",".join((*methods_of(BEST), *own)) if chosen == BEST and own else chosen

    def _take(self, path: Path) -> None:
        with suppress(XrfError):  # a file that was taken away meanwhile
            if read_description(path).task == "minerals" and self.findData(str(path)) < 0:
                self.addItem(_short_name(path), str(path))


def model_hint(description: ModelDescription) -> str:
    """Return what a tooltip says of a model: what it is, what it takes and gives, how good it was."""
    known = ARCHITECTURES.get(description.architecture)
    axis = description.axis
    outputs = ", ".join(_OUTPUT_TEXTS.get(name, name) for name in description.outputs)
    low, high = description.counts_range
    lines = [
        f"{description.name}: {known.summary if known else description.architecture}",
        f"gives {outputs}" + (f" of {len(description.names)} names" if description.names else ""),
        f"takes {axis.size} channels from {axis.energies[0]:.3g} to {axis.energies[-1]:.3g} keV",
    ]
    if low > 0 and high < float("inf"):
        lines.append(f"trained on spectra of {low:,.0f} to {high:,.0f} counts")
    figures = description.training.get("figures") or description.training.get("validation")
    if isinstance(figures, dict):
        numbers = {key: value for key, value in figures.items() if isinstance(value, int | float)}
        shown = list(numbers.items())[:_MOST_FIGURES]
        lines += [f"{name.replace('_', ' ')}: {value:.4g}" for name, value in shown]
    return "\n".join(lines)


def _hint(model: str) -> str:
    try:
        return model_hint(read_description(model))
    except XrfError as error:
        return str(error)


def _short_name(path: Path) -> str:
    """Return the folder's name for the weights of a training's folder, else the file's."""
    stem = path.parent.name if path.stem == "model" and path.parent.name else path.stem
    return f"{stem} (yours)"
