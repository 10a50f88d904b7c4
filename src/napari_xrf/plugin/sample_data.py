"""Sample data: a synthetic pegmatite with its truth."""

from __future__ import annotations

from napari_xrf.plugin.layers.cubes import cube_layers
from napari_xrf.plugin.layers.layer_data import LayerData

_SEED = 7


def pegmatite() -> list[LayerData]:
    """Return the layers of a synthetic map of a pegmatite and of its true minerals, hidden."""
    import numpy as np

    from napari_xrf.plugin.layers.labels import label_layer
    from napari_xrf.plugin.layers.loading import follow_opening
    from napari_xrf.synthesis.pegmatite import synthesize_pegmatite

    made = synthesize_pegmatite(generator=np.random.default_rng(_SEED))
    truth, keywords, kind = label_layer(made.truth, "True minerals")
    follow_opening(made.cube)
    return [*cube_layers(made.cube), (truth, keywords | {"visible": False}, kind)]
