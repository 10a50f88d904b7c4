"""The task "spectra": features of spectra, and the spectra made from them again."""

from napari_xrf.learning.description import ProbabilityCalibration
from napari_xrf.learning.evaluation.results import Assessment
from napari_xrf.learning.tasks.task import Task

# All that is learnt and judged is the spectrum that is given back, as of networks of any task that give one.
TASK = Task(
    name="spectra",
    does="turns spectra into features and back",
    fails="It knows only spectra like those it learned; others come back as the nearest of those.",
    losses=lambda outputs, targets, presence_weight: [],
    validation_figures=lambda outputs, targets: {},
    fit_calibration=lambda outputs, targets: ProbabilityCalibration(),
    decide=lambda description, predictions: predictions,
    assess=lambda description, methods, sample: Assessment(tables=()),
)
