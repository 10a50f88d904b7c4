import pytest

from napari_xrf.core.errors import FileError, InvalidInput, told_of


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (KeyError("counts"), "map.h5: is damaged"),
        (OSError(28, "No space left on device"), "map.h5: cannot be read .No space left"),
        (MemoryError(), "needs more memory"),
        (ImportError("No module named 'zarr'"), "needs a package that cannot be loaded .*zarr"),
    ],
)
def test_whatever_a_reader_raises_names_the_file_and_the_cause(raised, told):
    with pytest.raises(FileError, match=told), told_of("map.h5"):
        raise raised


def test_errors_for_users_pass_as_they_are():
    with pytest.raises(InvalidInput, match="no such map"), told_of("map.h5"):
        raise InvalidInput("no such map")
