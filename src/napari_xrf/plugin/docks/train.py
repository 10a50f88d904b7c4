"""The Train dock: networks are trained, tuned and adapted here, with their losses as they fall."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import napari.viewer
from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtWidgets import QFileDialog, QLineEdit

from napari_xrf.core.errors import LARGEST_SEED, InvalidInput
from napari_xrf.core.parameters import Choices, Limits, parameters
from napari_xrf.plugin.docks.dock import Dock
from napari_xrf.plugin.forms.model_choice import shelf_of
from napari_xrf.plugin.forms.page import TabsOverPlot
from napari_xrf.plugin.forms.parameter_form import ErrorLabel, ParameterForm, form_label
from napari_xrf.plugin.forms.parts import button, row, tick_box
from napari_xrf.plugin.forms.train_tabs import AdaptTab, PaintingsTab, TrainTab, TuneTab, adaptation_rows
from napari_xrf.plugin.jobs.training import (
    WEIGHTS,
    TrainingPlan,
    folder_problem,
    run_adaptation,
    run_painting,
    run_search,
    run_training,
)
from napari_xrf.plugin.notices import errors_told
from napari_xrf.plugin.plots.loss_plot import LossPlot

_FOLDER = "napari-xrf models"  # in the user's home, until another one is chosen
_PLOT_SHARE = 240


@parameters
class Run:
    """What all three kinds of work have in common.

    Attributes
    ----------
    seed
        The same one gives the same weights on the same machine, here and on the command line.
    device
        auto takes a graphics card where there is one (cuda: NVIDIA, mps: Apple).
    """

    seed: Annotated[int, Limits(0, LARGEST_SEED)] = 0
    device: Annotated[str, Choices(("auto", "cpu", "cuda", "mps"))] = "auto"


class Teller(QObject):  # type: ignore[misc]
    """Carries what a worker says into the main thread; outlives a dock that is closed meanwhile."""

    told = Signal(str, object)

    def __call__(self, kind: str, content: Any) -> None:
        """Say something; see :data:`~napari_xrf.plugin.jobs.training.Tell`."""
        self.told.emit(kind, content)


class TrainDock(Dock):
    """Trains, tunes and adapts models; what comes of it is offered in the Model inference dock."""

    title = "Train"
    networks = True

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)
        self._shelf = shelf_of(viewer)
        self._trials: list[Any] = []
        self._own_folder = False
        self._tell = Teller()
        self.training = TrainTab(self)
        self.tuning = TuneTab(self.training)
        self.adaptation = AdaptTab(self)
        self.paintings = PaintingsTab()
        self.pages = (self.training, self.tuning, self.adaptation, self.paintings)
        self.plot = LossPlot()
        self.parts = TabsOverPlot(((page.title, page) for page in self.pages), self.plot, _PLOT_SHARE)
        self.tabs = self.parts.tabs
        for page in self.pages:
            page.changed.connect(self._changed)
        self.common: ParameterForm[Run] = ParameterForm(Run())
        self.folder = QLineEdit()
        self.folder.setToolTip("Gets the weights, the model card, the losses and what a stopped run needs")
        self.browse = button("Folder…", "Choose the output folder", self._ask_folder)
        self.resume = tick_box("Resume", False, "Go on where the folder's run was stopped", self._set_enabled)
        self.run = button("Train", "Start", self._run)
        self.problem = ErrorLabel()
        folder = row(form_label("Output folder"), self.folder, self.browse)
        buttons = row(self.run, self.resume, None)
        self.job_bar.waits = True  # for the checkpoint
        self.lay_out((self.parts, 1), folder, self.problem, foot=buttons)
        self.setMinimumWidth(430)
        self._tell.told.connect(self._hear, Qt.ConnectionType.QueuedConnection)
        self.when_closed(partial(self._tell.told.disconnect, self._hear))
        self.tabs.currentChanged.connect(lambda _: self._changed())
        self.training.recipe.currentTextChanged.connect(lambda _: self._changed())
        self.common.changed.connect(self._set_enabled)
        self.folder.textEdited.connect(lambda _: self._choose_folder())
        self.follow_theme(self.plot.set_colors)
        self._changed()

    def page(self) -> Any:
        """Return the tab in front."""
        return self.pages[self.tabs.currentIndex()]

    def set_folder(self, folder: Path) -> None:
        """Choose the output folder."""
        self.folder.setText(str(folder))
        self._choose_folder()

    def _changed(self) -> None:
        self.page().carry(self.common)
        if not self._own_folder:
            self.folder.setText(f"~/{_FOLDER}/{self._folder_name()}")
        self._set_enabled()

    def _folder_name(self) -> str:
        if self.page() is self.adaptation:
            return f"{Path(self.adaptation.models.model()).stem or 'model'} adapted"
        if self.page() is self.paintings:
            return "painting-generator"
        name = self.training.recipe.currentText()
        return f"{name} search" if self.page() is self.tuning else name

    def _set_enabled(self) -> None:
        page, free = self.page(), self.job_bar.job is None
        problem = self.common.problem() or page.problem() or self._folder_problem()
        self.problem.tell(problem if free else "")
        self.run.setText(page.action)
        self.run.setEnabled(free and not problem and not self.lost)
        # A search goes on by itself; an adaptation takes less time than to store its steps.
        self.resume.setVisible(page is self.training)
        for part in (self.tabs, self.common, self.folder, self.browse, self.resume):
            part.setEnabled(free)

    def _folder_problem(self) -> str:
        if self.page() is self.training:
            return folder_problem(self.folder.text(), self.resume.isChecked())
        if not self.folder.text().strip():
            return "Choose an output folder"
        if self.page() in (self.adaptation, self.paintings) and (self._path() / WEIGHTS).is_file():
            return f"{self._path()} holds a model already: choose another folder"
        return ""

    def _path(self) -> Path:
        return Path(self.folder.text().strip()).expanduser()

    def _run(self) -> None:
        starts = {
            self.training: self._train,
            self.tuning: self._search,
            self.adaptation: self._adapt,
            self.paintings: self._train_painting,
        }
        with errors_told():
            starts[self.page()](self.common.value())

    def _plan(self, run: Run, *, resume: bool) -> TrainingPlan:
        recipe, regions = self.training.chosen(), self.training.regions.value()
        return TrainingPlan(recipe, self._path(), run.seed, run.device, resume, regions)

    def _train(self, run: Run) -> None:
        plan = self._plan(run, resume=self.resume.isChecked())
        self._start_curve("Epoch")
        title = f"Training {plan.recipe.name}"
        self.job_bar.run(title, run_training, plan, self._tell, on_done=self._trained)

    def _search(self, run: Run) -> None:
        search, plan = self.tuning.search.value(), self._plan(run, resume=True)
        self._trials = []
        self.tuning.show_result(None)
        self.plot.hide()
        self.tuning.table.show_rows(())
        title = f"Tuning {plan.recipe.name}"
        self.job_bar.run(title, run_search, plan, search, self._tell, on_done=self._searched)

    def _adapt(self, run: Run) -> None:
        model, cube, options = (
            self.adaptation.models.model(),
            self.adaptation.cube(),
            self.adaptation.options.value(),
        )
        self._start_curve("Step")
        self.adaptation.table.show_rows(())
        work = partial(run_adaptation, model, cube, self._path(), options, self._tell)
        title = f"Adapting {Path(model).stem}"
        self.job_bar.run(title, work, seed=run.seed, device=run.device, on_done=self._adapted)

    def _train_painting(self, run: Run) -> None:
        if run.device not in ("auto", "cpu"):
            raise InvalidInput("the painting generator is trained on the CPU", "Choose auto or cpu")
        self._start_curve("Step")
        self.job_bar.run(
            "Training a painting generator",
            run_painting,
            self.paintings.options.value(),
            self._path(),
            run.seed,
            self._tell,
            on_done=self._trained_painting,
        )

    def _start_curve(self, steps: str) -> None:
        self.parts.show_plot()
        self.see(self.plot)
        self.plot.set_points(())
        self.plot.set_steps(steps)
        self.plot.tell("Making the spectra to learn from…")

    def _hear(self, kind: str, content: Any) -> None:
        if kind == "trial":
            self._trials.append(content)
            self.tuning.show_trials(self._trials)
        else:
            shown: dict[str, Any] = {
                "loss": self.plot.add_point,
                "losses": self.plot.set_points,
                "text": self.plot.tell,
            }
            shown[kind](content)

    def _trained(self, weights: Path) -> None:
        self._shelf.add(weights)
        self.tell(f"{weights.parent.name} is trained; it is offered under Model inference")

    def _trained_painting(self, weights: Path) -> None:
        self.tell(
            f"{weights} is trained: choose it under Generate synthetic data, Painting, as Generator, with "
            "learned weighting"
        )

    def _searched(self, result: Any) -> None:
        self.tuning.show_trials(result.trials)
        self.tuning.show_result(result)
        before = "" if result.default is None else f", the recipe's own values {result.default:.4g}"
        self.tell(f"{len(result.trials)} trials are done; best {result.figure} {result.value:.4g}{before}")

    def _adapted(self, result: Any) -> None:
        self.adaptation.table.show_rows(adaptation_rows(result))
        notes = "\n".join(result.notes)
        if result.kept:
            self._shelf.add(self._path() / WEIGHTS)
            self.tell("\n".join(filter(None, ("The adapted model is offered under Model inference", notes))))
        else:
            self.warn(f"The original weights are kept. {notes}")

    def _choose_folder(self) -> None:
        self._own_folder = True
        self._set_enabled()

    def _ask_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Choose the output folder")
        if folder:
            self.set_folder(Path(folder))
