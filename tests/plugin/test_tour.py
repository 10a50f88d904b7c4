"""The walk of a user through the window, by mouse and keys; each station checks what it shows."""

import pytest
from benchmarks.window_hand import in_event_loop
from benchmarks.window_tour import Tour, write_map

pytestmark = pytest.mark.gui


@pytest.mark.parametrize("minerals", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_user_walks_from_a_file_to_the_same_numbers_by_a_script(make_napari_viewer, tmp_path, minerals):
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1366, 768)
    tour = Tour(viewer, write_map(tmp_path / "pegmatite.h5", shape=(24, 30)), tmp_path)
    in_event_loop(lambda: tour.walk(minerals=minerals))
