"""Run the published generator, multiel-spectra, as it stands, on the CPU, and mend the labels it returns.

It needs ``pip install torch spekpy xraydb pandas bokeh matplotlib`` and ``pip install --no-deps
multiel-spectra``. Its other requirements are xraylarch and scikit-beam; where those are missing, the four
functions that it takes from them are made here of xraydb and xraylib, on which both are built.

Its fractions are those of the elements by atomic number, given to the elements in random order: they are put
right here. The first spectra of each of its batches hold sums of peaks of all others; they are left out.
"""

from __future__ import annotations

import contextlib
import functools
import io
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import xraylib
from benchmarks.independent import line_list

from napari_xrf.core.errors import XrfError

_NEEDS = "Install multiel-spectra with what benchmarks/independent/published_layers.py names"
_BATCH = 40
_SPOILT = 8


def run_published(size: int, seed: int) -> dict[str, Any]:
    """Return the truth by name, without ``visible``.

    Raises
    ------
    XrfError
        When the package, or what it needs, is not installed.
    """
    torch, package = _load()
    torch.set_num_threads(1)  # its arrays are small
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002  the package draws from it
    taken: list[Any] = []
    with _faster(package, taken), tempfile.TemporaryDirectory() as folder:
        batches = -(-size // (_BATCH - _SPOILT))
        spectra: list[Any] = []
        while len(spectra) * (_BATCH - _SPOILT) < size:
            taken.clear()
            _run(package, batches, folder)
            for number, drawn in enumerate(taken):
                path = Path(folder) / f"{number}_spectra.pt"
                if path.exists():
                    spectra.append((torch.load(path, weights_only=True).numpy(), *drawn))
                    path.unlink()
    return _truth(spectra, size, seed)


def _truth(spectra: list[Any], size: int, seed: int) -> dict[str, Any]:
    measured = np.concatenate([each[0][_SPOILT:] for each in spectra])[:size]
    fractions = np.concatenate([_fractions(*each[1:])[_SPOILT:] for each in spectra])[:size]
    columns = [line_list.ELEMENTS.index(element) for element, _, _ in line_list.lines()]
    return {
        "spectra": (measured / measured.max(axis=1, keepdims=True)).astype(np.float32),
        "present": fractions[:, columns] > 0,
        "fractions": fractions.astype(np.float32),
        "lines": [f"{element} {name}" for element, name, _ in line_list.lines()],
        "parameters": {
            "recipe": "layers",
            "generator": "multiel-spectra",
            "size": size,
            "seed": str(seed),
            "counts": line_list.COUNTS,
        },
        "elements": list(line_list.ELEMENTS),
    }


def _fractions(elements: Any, labelled: Any) -> Any:
    """Give each element the fraction with which it was used."""
    mended = np.zeros_like(labelled)
    np.put_along_axis(
        mended, elements, np.take_along_axis(labelled, np.sort(elements, axis=1), axis=1), axis=1
    )
    return mended


def _run(package: Any, batches: int, folder: str) -> None:
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # It stops where a spectrum of a batch is not finite; what is saved till then is kept.
        with contextlib.suppress(UnboundLocalError):
            package.spectra_gen(batches, _BATCH, f"{folder}/")


@contextlib.contextmanager
def _faster(package: Any, taken: list[Any]) -> Iterator[None]:
    """Sum the cross-sections over the tube once per batch, not once per spectrum and channel.

    The result is the same but for rounding. What each batch was drawn with goes to ``taken``.
    """
    compose, tube = package.multigen_opt, package.Primary_gen

    @functools.cache
    def cached(*arguments: Any) -> Any:
        return tube(*arguments[:-1], list(arguments[-1]))

    def summed(elements: Any, primary: Any, energies: Any, sections: Any) -> Any:
        weights = sections.new_tensor(primary[1])
        total = (sections * weights[None, :, None]).sum(1, keepdim=True)
        found = compose(elements, (primary[0][:1], np.ones(1)), energies[:, :1], total)
        taken.append((elements.cpu().numpy(), found[2].cpu().numpy()))
        return found

    package.multigen_opt = summed
    package.Primary_gen = lambda *arguments: cached(*arguments[:-1], tuple(arguments[-1]))
    try:
        yield
    finally:
        package.multigen_opt, package.Primary_gen = compose, tube


def _load() -> tuple[Any, Any]:
    try:
        import torch
        import xraydb
    except ImportError as error:
        raise XrfError(
            f"the published generator needs {error.name}, which is not installed", _NEEDS
        ) from error
    _stand_in("larch.xray", material_mu=xraydb.material_mu, material_get=xraydb.get_material)
    _stand_in("skbeam.core.constants", XrfElement=_Element)
    _stand_in("skbeam.core.fitting", gaussian=None)
    if not torch.cuda.is_available():
        torch.Tensor.cuda = lambda tensor, *_, **__: tensor  # it asks for a GPU at every step
    try:
        import matplotlib

        matplotlib.use("Agg")
        from multiel_spectra import gpu_spectra
    except ImportError as error:
        raise XrfError(
            f"the published generator cannot be run ({error})",
            _NEEDS,
        ) from error
    return torch, gpu_spectra


def _stand_in(name: str, **contents: Any) -> None:
    """Put a module of that name in place where none is installed."""
    try:
        __import__(name)
    except ImportError:
        parts = name.split(".")
        for length in range(1, len(parts) + 1):
            path = ".".join(parts[:length])
            sys.modules.setdefault(path, ModuleType(path))
            if length > 1:
                setattr(sys.modules[".".join(parts[: length - 1])], parts[length - 1], sys.modules[path])
        module = sys.modules[name]
        module.__dict__.update(contents)
        module.__dict__["__all__"] = list(contents)


class _Element:
    """Emission lines and their cross-sections, as scikit-beam's XrfElement gives them."""

    def __init__(self, element: Any) -> None:
        self._number = xraylib.SymbolToAtomicNumber(str(element))
        density = xraylib.ElementDensity(self._number)
        # scikit-beam has g/l for gases, and the package cannot do with less.
        self.density = 1000 * density if density < 0.1 else density
        self.emission_line = SimpleNamespace(all=self._all(xraylib.LineEnergy))

    def cs(self, energy: float) -> Any:
        return SimpleNamespace(all=self._all(xraylib.CS_FluorLine_Kissel, float(energy)))

    def _all(self, function: Any, *arguments: float) -> list[tuple[str, float]]:
        return [
            (name, line_list.or_zero(function, self._number, line_list.line_macro(name), *arguments))
            for name in line_list.NAMES
        ]
