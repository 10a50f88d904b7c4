from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from napari_xrf.learning.networks.layers import AxisAlignment  # noqa: E402
from napari_xrf.learning.registry import build_network  # noqa: E402
from napari_xrf.learning.sources.source import make_source  # noqa: E402
from napari_xrf.learning.tasks.task import loss_of  # noqa: E402  # torch is needed
from napari_xrf.learning.training import describe  # noqa: E402
from napari_xrf.learning.training_recipes import training_recipe  # noqa: E402

CHANNELS = 120


def spectra(gain):
    """Peaks at random places, recorded with a gain."""
    generator = torch.Generator().manual_seed(0)
    centres = 20 + 80 * torch.rand((256, 1), generator=generator)
    places = torch.arange(CHANNELS) / (1 + gain)
    peaks = torch.exp(-0.5 * ((places - centres) / 3) ** 2)
    # A line of known place, from which the gain can be read.
    return peaks + torch.exp(-0.5 * ((places - 60) / 3) ** 2)


def test_an_untrained_alignment_changes_nothing():
    given = spectra(torch.zeros(256, 1))
    align = AxisAlignment(CHANNELS)
    assert torch.allclose(align(given, torch.full((256,), 3.5)), given, atol=1e-5)


def test_an_alignment_learns_to_undo_the_gain():
    torch.manual_seed(0)
    gain = 0.06 * torch.rand((256, 1)) - 0.03
    recorded, usual, dose = spectra(gain), spectra(torch.zeros(256, 1)), torch.full((256,), 3.5)
    align = AxisAlignment(CHANNELS)
    optimizer = torch.optim.Adam(align.parameters(), lr=2e-3)
    before = float(((recorded - usual) ** 2).mean())
    for _ in range(300):
        loss = ((align(recorded, dose) - usual) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.1 * before


@pytest.mark.parametrize("name", ["lt-vit", "vit", "maxrf-cnn-gem"])
@pytest.mark.parametrize("aligned", [True, False])
def test_element_networks_with_and_without_alignment(name, aligned):
    recipe = training_recipe(name)
    recipe = replace(recipe, network={**recipe.network, "aligned": aligned})
    source = make_source(recipe.source)
    description = describe(recipe, source, 0)
    network = build_network(description)
    assert any("align" in part for part in network.state_dict()) == aligned
    inputs = torch.rand((4, description.axis.size))
    outputs = network(inputs, torch.full((4,), 3.5))
    assert outputs["intensity"].shape == outputs["presence"].shape == (4, len(description.names))
    assert (outputs["intensity"] >= 0).all()


def test_what_cannot_be_told_is_shared():
    # The best single answer for shares of 0.8 and 0 is their mean, not their median.
    truth = torch.tensor([[0.8], [0.0], [0.0]])
    targets = {"presence": (truth > 0).float(), "share": truth}

    def loss(answer):
        outputs = {"presence": torch.zeros(3, 1), "intensity": torch.full((3, 1), float(answer))}
        return float(loss_of("elements", outputs, targets, torch.zeros(3, 4)).mean())

    answers = np.linspace(0, 0.8, 81)
    assert answers[np.argmin([loss(each) for each in answers])] == pytest.approx(0.8 / 3, abs=0.01)
