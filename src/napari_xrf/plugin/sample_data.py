"""Sample data: a synthetic pegmatite with its truth."""

from __future__ import annotations

from napari_xrf.core.progress import Progress, ignore_progress
from napari_xrf.plugin.layers.cubes import cube_layers
from napari_xrf.plugin.layers.layer_data import LayerData, with_keywords
from napari_xrf.plugin.layers.opening import event_loop_runs, opening_layer

_SEED = 7


def pegmatite() -> list[LayerData]:
    """Return the layers of a synthetic map of a pegmatite and of its true minerals, hidden.

    In a running napari it is made behind the window, and a layer stands for it until it is there.
    """
    if event_loop_runs():
        return [opening_layer("Making a pegmatite", _pegmatite_layers)]
    return _pegmatite_layers()


def _pegmatite_layers(progress: Progress = ignore_progress) -> list[LayerData]:
    import numpy as np

    from napari_xrf.plugin.layers.labels import label_layer
    from napari_xrf.plugin.layers.loading import follow_opening
    from napari_xrf.synthesis.pegmatite import synthesize_pegmatite

    made = synthesize_pegmatite(generator=np.random.default_rng(_SEED), progress=progress)
    follow_opening(made.cube)
    return [*cube_layers(made.cube), with_keywords(label_layer(made.truth, "True minerals"), visible=False)]
