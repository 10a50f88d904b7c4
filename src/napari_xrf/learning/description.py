"""What a trained model is: its inputs, outputs and origin, as its weights file states them. No torch here."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from dataclasses import fields as dataclass_fields
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from napari_xrf.core.energy_axis import EnergyAxis
from napari_xrf.core.errors import InvalidInput, check_name
from napari_xrf.core.label_map import LabelClass
from napari_xrf.learning.conditions import CONDITIONS
from napari_xrf.learning.preprocessing import Preprocessing

TaskName = Literal["lines", "elements", "minerals", "spectra"]  # a file each in learning/tasks
TASKS: tuple[TaskName, ...] = get_args(TaskName)
FORMAT = 1


@dataclass(frozen=True)
class ProbabilityCalibration:
    """How outputs become probabilities and decisions; fitted on validation spectra."""

    temperature: float = 1.0  # logits are divided by it; 1 leaves them
    # Probability from which each of the K names counts as present; one number serves all
    thresholds: tuple[float, ...] = (0.5,)
    # Probability that a set of names holds where one name is not warranted (answer_sets); None: the model's
    # classes are single answers
    set_level: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise InvalidInput(f"a temperature must be above 0, not {self.temperature}")
        if not self.thresholds or not all(0 <= value <= 1 for value in self.thresholds):
            raise InvalidInput("thresholds must lie from 0 to 1")
        if self.set_level is not None and not 0 < self.set_level < 1:
            raise InvalidInput("the level of sets must lie between 0 and 1")


@dataclass(frozen=True, eq=False)
class ModelDescription:
    """Everything about a model but its numbers."""

    name: str  # "line-mlp"; of a user's own model whatever it was saved as
    architecture: str  # which network of registry it is
    # "lines": presence of emission lines. "elements": presence and net counts of elements. "minerals": one
    # class of many. "spectra": features and denoised spectra.
    task: TaskName
    # The K outputs: "Fe ka1", "Fe", "quartz / opal"; none for the task "spectra". The class "unknown" of
    # minerals is not among them.
    names: tuple[str, ...]
    axis: EnergyAxis  # the energy axis that the network takes; cubes are rebinned to it
    outputs: tuple[str, ...]  # of "presence", "intensity", "minerals", "code", "spectrum": what it gives
    # How counts on the axis become numbers for the network.
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    network: Mapping[str, Any] = field(default_factory=dict)  # options of the architecture
    # Temperature and thresholds.
    calibration: ProbabilityCalibration = field(default_factory=ProbabilityCalibration)
    # For minerals: one class per name, with formula, colour and density; labels 2, 3, ….
    classes: tuple[LabelClass, ...] = ()
    code_names: tuple[str, ...] = ()  # names of the code's units, where they have a meaning
    counts_range: tuple[float, float] = (0.0, math.inf)  # counts per spectrum that it was trained on
    # What it is told of the instrument beside a spectrum, of CONDITIONS: all of them in their order, or none.
    conditions: tuple[str, ...] = ()
    # Recipe, seed, options, commit, versions and figures, as JSON takes it.
    training: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name("task", self.task, TASKS)
        if len(set(self.names)) != len(self.names):
            raise InvalidInput("an output stands twice")
        if self.conditions not in ((), CONDITIONS):
            raise InvalidInput("the model asks for what this version does not know of instruments")
        if self.classes and len(self.classes) != len(self.names):
            raise InvalidInput(f"{len(self.classes)} classes do not fit {len(self.names)} names")

    @property
    def thresholds(self) -> NDArray[np.float32]:
        """(K,) probability from which each name counts as present."""
        values = np.asarray(self.calibration.thresholds, dtype=np.float32)
        return np.broadcast_to(values, (len(self.names),)) if values.size == 1 else values

    @property
    def source_kind(self) -> str:
        """What kind of source it was trained on; empty where it does not say."""
        return str((self.training.get("source") or {}).get("kind", ""))

    @property
    def source_options(self) -> dict[str, Any]:
        """Options of that source."""
        return dict((self.training.get("source") or {}).get("options", {}))

    def with_calibration(self, calibration: ProbabilityCalibration) -> ModelDescription:
        """Return it with other thresholds and temperature."""
        return replace(self, calibration=calibration)

    def with_training(self, **entries: Any) -> ModelDescription:
        """Return it with entries added to what is known of its training."""
        return replace(self, training={**self.training, **entries})


def description_as_json(description: ModelDescription) -> str:
    """Return the text that goes into the weights file."""
    fields = {entry.name: getattr(description, entry.name) for entry in dataclass_fields(description)}
    low, high = description.counts_range
    fields |= {
        "axis": asdict(description.axis),
        "preprocessing": asdict(description.preprocessing),
        "calibration": asdict(description.calibration),
        "classes": [asdict(each) for each in description.classes],
        "counts_range": [low, high if math.isfinite(high) else None],
        "format": FORMAT,
    }
    return json.dumps(fields, ensure_ascii=False)


def description_from_json(text: str) -> ModelDescription:
    """Return what :func:`description_as_json` wrote.

    Raises InvalidInput when a part is missing, wrong, or of a newer format.
    """
    try:
        stored = json.loads(text)
        if stored.pop("format") > FORMAT:
            raise InvalidInput("the model is of a newer format", "Update napari-xrf")
        low, high = stored["counts_range"]
        stored["counts_range"] = (low, math.inf if high is None else high)
        return TypeAdapter(ModelDescription).validate_python(stored)
    except InvalidInput:
        raise
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        place = ".".join(map(str, wrong["loc"]))
        raise InvalidInput(f"the description of the model is damaged ({place}: {wrong['msg']})") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidInput(f"the description of the model is damaged ({error!r})") from error
