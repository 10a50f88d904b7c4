"""How much of each element there is: the nouns of quantification."""

import math
from dataclasses import dataclass

from napari_xrf.physics.instrument import Instrument


@dataclass(frozen=True)
class Quantity:
    """How much of an element there is.

    Attributes
    ----------
    element
        Symbol.
    weight_fraction
        0 to 1, of a sum normalised to 1, less what light matter there is.
    counting_error, standard_error
        One standard deviation of it: from counts alone, and with the model's own error.
    detection_limit
        Weight fraction whose counts are 3 σ of the background under the family; NaN for oxygen that follows
        from valences.
    family
        The line family that decides most; ``"by stoichiometry"`` where none does.
    net_counts
        Of that family.
    atom_fraction
        Of all atoms.
    oxide, oxide_fraction
        ``"SiO2"`` and its weight fraction; empty and NaN where there is no oxygen.
    """

    element: str
    weight_fraction: float
    counting_error: float
    standard_error: float
    detection_limit: float
    family: str
    net_counts: float
    atom_fraction: float
    oxide: str = ""
    oxide_fraction: float = math.nan


@dataclass(frozen=True)
class Residual:
    """Counts of a family, and those that the composition should give.

    Attributes
    ----------
    family
        ``"Fe K"``.
    counts, error
        Net counts and one standard deviation.
    expected
        Counts of the simulated composition, scaled to all families that decide.
    """

    family: str
    counts: float
    error: float
    expected: float

    @property
    def relative(self) -> float:
        """Measured less expected, over expected."""
        return self.counts / self.expected - 1 if self.expected > 0 else math.nan


@dataclass(frozen=True, eq=False)
class Quantities:
    """The composition of a spectrum.

    Attributes
    ----------
    region
        What it is the composition of.
    entries
        By rising atomic number.
    oxygen
        How oxygen was found: ``"stoichiometry"``, ``"measured"``, ``"none"`` or ``"formula"`` (of a class).
    notes
        What the user should know, one sentence each.
    residuals
        Families against the simulated composition, by falling counts.
    total
        Weight fraction that the dose gives before normalising; NaN where no standard tells the dose.
    mass_per_area
        Of a thin film, µg/cm²; NaN otherwise.
    light
        Weight fraction of light matter without lines that the scattered background tells, or that the dose
        leaves where weights are by dose.
    instrument
        What it was found with, as far as the spectrum itself told of it; None where nobody said.
    """

    region: str
    entries: tuple[Quantity, ...]
    oxygen: str
    notes: tuple[str, ...] = ()
    residuals: tuple[Residual, ...] = ()
    total: float = math.nan
    mass_per_area: float = math.nan
    light: float = 0.0
    instrument: Instrument | None = None

    def __getitem__(self, element: str) -> Quantity:
        for entry in self.entries:
            if entry.element == element:
                return entry
        raise KeyError(
            f"no {element} in {self.region}; there are {', '.join(e.element for e in self.entries)}"
        )

    def __repr__(self) -> str:
        told = ", ".join(
            f"{entry.element} {100 * entry.weight_fraction:.3g} ± {100 * entry.standard_error:.2g} %"
            for entry in sorted(self.entries, key=lambda entry: -entry.weight_fraction)
        )
        return f"<Quantities of {self.region}: {told}>"

    @property
    def composition(self) -> dict[str, float]:
        """Element → weight fraction, those that are there."""
        return {entry.element: entry.weight_fraction for entry in self.entries if entry.weight_fraction > 0}
