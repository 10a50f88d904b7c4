import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_xrf.core.errors import Cancelled, InvalidInput
from napari_xrf.core.label_map import LabelClass, LabelMap
from napari_xrf.minerals.labels.cleanup import (
    DEFAULT_STEPS,
    CleanUpStep,
    changes,
    clean_labels,
    parse_clean_up,
)

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
    ["median:3", "majority", "majority:4", "majority:x", "majority:-3", "min-size:1", "min-size", "a,,b",
     "potts", "potts:99", "min-size:2.5", "smooth:4"],
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


@pytest.mark.parametrize("kind", ["opening", "closing", "majority", "smooth"])
def test_squares_far_wider_than_the_map_are_refused(kind):
    with pytest.raises(InvalidInput, match=r"wider than the map.*at most 1001"):
        cleaned([[2, 3], [3, 2]], f"{kind}:99999")


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
        [
            "majority:3",
            "majority:5",
            "opening:3",
            "opening:5",
            "closing:3",
            "min-size:3",
            "fill-holes",
            "smooth:3",
            "potts:2",
            "default",
        ]
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
    assert list(dict.fromkeys(told)) == [(0, 2, "majority:3"), (1, 2, "min-size:5")]

    def stop(*_):
        raise Cancelled

    with pytest.raises(Cancelled):
        clean_labels(before, parse_clean_up("majority:3"), stop)


def test_names_with_commas_and_pluses_stand_in_quotes():
    step = CleanUpStep("opening", 3, ("Ca,Mg olivine", "Fe+Ni"))
    assert parse_clean_up(f"{step},potts:0.5") == (step, CleanUpStep("potts", 0.5))
    named = LabelMap(np.ones((3, 3), np.uint8), (LabelClass(1, "Ca,Mg olivine"), LabelClass(2, "Fe+Ni")))
    assert clean_labels(named, [step]).labels.all()


@pytest.mark.parametrize("radius", [1, 2, 7, 15])
def test_opening_and_closing_are_those_of_a_disk(radius):
    from scipy.ndimage import gaussian_filter
    from skimage.morphology import closing, disk, opening

    rng = np.random.default_rng(radius)
    mask = gaussian_filter(rng.normal(size=(60, 80)), 4) > 0
    labels = np.where(mask, 3, 2)
    wide = np.pad(mask, radius, mode="edge")
    inside = np.s_[radius:-radius, radius:-radius]
    lost = mask & ~opening(wide, disk(radius))[inside]
    if not lost.all() and (mask & ~lost).any():
        narrow = np.array(cleaned(labels, f"opening:{2 * radius + 1}@albite")) != labels
        assert not narrow[~lost].any()
    filled = np.array(cleaned(labels, f"closing:{2 * radius + 1}@albite")) == 3
    far = np.pad(mask, 3 * radius)
    assert np.array_equal(
        filled, closing(far, disk(radius))[3 * radius : -3 * radius, 3 * radius : -3 * radius]
    )


def test_smoothing_rounds_a_corner_and_keeps_a_straight_edge():
    labels = np.full((20, 20), 2)
    labels[:10, :10] = 3
    smooth = np.array(cleaned(labels, "smooth:9"))
    assert smooth[9, 9] == 2
    assert np.array_equal(smooth[:4], labels[:4])


def test_potts_moves_doubtful_pixels_and_not_sure_ones():
    labels = np.full((5, 9), 2)
    labels[2, 2] = labels[2, 6] = 3
    confidence = np.full((5, 9), 0.95, dtype=np.float32)
    confidence[2, 6] = 0.5
    settled = clean_labels(label_map(labels, confidence), parse_clean_up("potts:0.5"))
    assert (settled.labels[2, 2], settled.labels[2, 6]) == (3, 2)
    # Probabilities of all classes decide where they are known: here albite, though no neighbour has it.
    probability = np.full((5, 9, 4), 0.01, dtype=np.float32)
    probability[..., 1] = 0.97
    probability[2, 6] = 0.001, 0.2, 0.799, 0
    settled = clean_labels(label_map(labels), parse_clean_up("potts:0.1"), probability=probability)
    assert (settled.labels[2, 2], settled.labels[2, 6]) == (2, 3)
    with pytest.raises(InvalidInput, match="probabilities must be"):
        clean_labels(label_map(labels), parse_clean_up("potts:1"), probability=probability[..., :2])


def test_labels_of_four_billion_are_cleaned():
    high = 4_000_000_000
    labels = np.full((3, 3), high, dtype=np.uint32)
    labels[1, 1] = 7
    classes = (LabelClass(7, "seven"), LabelClass(high, "high"))
    assert (clean_labels(LabelMap(labels, classes), DEFAULT_STEPS).labels == high).all()


def test_changes_are_told_class_by_class():
    before = label_map([[2, 2, 2], [2, 3, 2], [2, 2, 0]])
    quartz, albite = changes(before, clean_labels(before, parse_clean_up("majority:3")))
    assert (quartz.name, quartz.before, quartz.after, quartz.gained) == ("quartz", 87.5, 100, 1)
    assert (albite.after, albite.lost) == (0, 1)


@pytest.mark.parametrize("labels", [[[0]], [[2]], [[0, 0], [0, 0]]])
@pytest.mark.parametrize(
    "step", ["majority:3", "smooth:5", "opening:31", "closing:31", "min-size:9", "fill-holes", "potts:1"]
)
def test_one_pixel_and_nothing_measured_stay(labels, step):
    assert cleaned(labels, step) == labels
