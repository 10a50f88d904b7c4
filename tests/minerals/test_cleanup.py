import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_xrf.core.errors import Cancelled, InvalidInput
from napari_xrf.core.label_map import LabelClass, LabelMap
from napari_xrf.minerals.cleanup import DEFAULT_STEPS, CleanUpStep, clean_labels, parse_clean_up

CLASSES = tuple(
    LabelClass(label, name) for label, name in enumerate(("unknown", "quartz", "albite", "calcite"), start=1)
)


def label_map(labels, confidence=None):
    return LabelMap(np.asarray(labels, dtype=np.uint8), CLASSES, confidence)


def cleaned(labels, text):
    return clean_labels(label_map(labels), parse_clean_up(text)).labels.tolist()


def test_parse():
    assert parse_clean_up("none") == () == parse_clean_up("")
    assert parse_clean_up("default") == DEFAULT_STEPS
    steps = parse_clean_up("majority:3, min-size:5@quartz+albite,fill-holes")
    assert steps == (
        CleanUpStep("majority", 3),
        CleanUpStep("min-size", 5, ("quartz", "albite")),
        CleanUpStep("fill-holes"),
    )
    assert parse_clean_up(",".join(map(str, steps))) == steps


@pytest.mark.parametrize(
    "text",
    ["median:3", "majority", "majority:4", "majority:x", "majority:-3", "min-size:1", "min-size", "a,,b"],
)  # fmt: skip
def test_nonsense_is_refused(text):
    with pytest.raises(InvalidInput):
        parse_clean_up(text)


def test_unknown_class_is_refused():
    with pytest.raises(InvalidInput, match="gold"):
        cleaned([[2]], "min-size:3@gold")


def test_majority_takes_out_a_speck_and_keeps_ties():
    assert cleaned([[2, 2, 2], [2, 3, 2], [2, 2, 2]], "majority:3") == [[2] * 3] * 3
    assert cleaned([[2, 3]], "majority:3") == [[2, 3]]


def test_majority_of_one_class_changes_only_its_pixels():
    specks = [[2, 2, 2, 2, 2, 2], [2, 3, 2, 2, 4, 2], [2, 2, 2, 2, 2, 2]]
    assert cleaned(specks, "majority:3@albite") == [[2] * 6, [2, 2, 2, 2, 4, 2], [2] * 6]


def test_minimum_size_gives_small_parts_to_the_nearest_class():
    labels = [[2, 2, 2, 3, 3], [2, 4, 2, 3, 3], [2, 2, 2, 3, 3]]
    assert cleaned(labels, "min-size:2") == [[2, 2, 2, 3, 3]] * 3
    # Diagonal neighbours are connected.
    assert cleaned([[4, 2, 2], [2, 4, 2], [2, 2, 2]], "min-size:2") == [[4, 2, 2], [2, 4, 2], [2, 2, 2]]


def test_minimum_size_larger_than_everything_changes_nothing():
    assert cleaned([[2, 3], [3, 2]], "min-size:50") == [[2, 3], [3, 2]]


def test_opening_removes_a_thin_line():
    labels = np.full((9, 9), 2)
    labels[4] = 3
    assert np.all(np.array(cleaned(labels, "opening:3@albite")) == 2)


def test_opening_leaves_the_edge_alone():
    labels = np.full((6, 6), 2)
    labels[:2] = 3
    assert cleaned(labels, "opening:3") == labels.tolist()


def test_closing_bridges_a_gap():
    labels = np.full((7, 9), 2)
    labels[2:5, 1:4] = labels[2:5, 5:8] = 3
    closed = np.array(cleaned(labels, "closing:3@albite"))
    assert closed[3, 4] == 3
    assert closed[0, 0] == 2


def test_holes_are_filled_unless_open_large_or_unmeasured():
    ring = np.full((5, 5), 3)
    ring[0] = ring[-1] = ring[:, 0] = ring[:, -1] = 2
    ring[2, 2] = 4
    assert np.array(cleaned(ring, "fill-holes@albite"))[2, 2] == 3
    assert np.array(cleaned(ring, "fill-holes:4@quartz"))[1, 1] == 3
    assert np.array(cleaned(ring, "fill-holes@quartz"))[1:4, 1:4].tolist() == [[2] * 3] * 3
    ring[2, 2] = 0
    assert np.array(cleaned(ring, "fill-holes"))[2, 2] == 0


def test_confidence_of_changed_pixels_is_what_was_left():
    confidence = np.full((3, 3), 0.75, dtype=np.float32)
    result = clean_labels(
        label_map([[2, 2, 2], [2, 3, 2], [2, 2, 2]], confidence), parse_clean_up("majority:3")
    )
    assert result.confidence[1, 1] == 0.25
    assert result.confidence[0, 0] == 0.75


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 4)),
    st.sampled_from(
        ["majority:3", "majority:5", "opening:3", "closing:3", "min-size:3", "fill-holes", "default"]
    ),
)
def test_no_step_invents_classes_or_measures_pixels(labels, text):
    result = clean_labels(label_map(labels), parse_clean_up(text))
    assert set(np.unique(result.labels)) <= set(np.unique(labels))
    assert np.array_equal(result.labels == 0, labels == 0)
    assert result.labels.dtype == np.uint8
    assert result.classes == CLASSES


def test_a_clean_up_tells_its_steps_and_can_be_stopped():
    before = label_map(np.ones((4, 5)))
    told = []
    clean_labels(before, parse_clean_up("majority:3,min-size:5"), lambda *step: told.append(step))
    assert told == [(0, 2, "majority:3"), (1, 2, "min-size:5")]

    def stop(*_):
        raise Cancelled

    with pytest.raises(Cancelled):
        clean_labels(before, parse_clean_up("majority:3"), stop)
