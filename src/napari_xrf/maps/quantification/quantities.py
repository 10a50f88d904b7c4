"""How much of each element there is: the nouns of quantification."""

import math
from dataclasses import dataclass

from napari_xrf.physics.instrument import Instrument


@dataclass(frozen=True)
class Quantity:
    """How much of an element there is."""

    element: str  # symbol
    weight_fraction: float  # 0 to 1, of a sum normalised to 1, less what light matter there is
    # counting_error, standard_error: one standard deviation of it: from counts alone, and with the model's
    # own error.
    counting_error: float
    standard_error: float
    # Weight fraction whose counts are 3 σ of the background under the family; NaN for oxygen that follows
    # from valences.
    detection_limit: float
    family: str  # the line family that decides most; "by stoichiometry" where none does
    net_counts: float  # of that family
    atom_fraction: float  # of all atoms
    # oxide, oxide_fraction: "SiO2" and its weight fraction; empty and NaN where there is no oxygen.
    oxide: str = ""
    oxide_fraction: float = math.nan


@dataclass(frozen=True)
class FamilyResidual:
    """Counts of a family, and those that the composition should give."""

    family: str  # "Fe K"
    # counts, error: net counts and one standard deviation.
    counts: float
    error: float
    expected: float  # counts of the simulated composition, scaled to all families that decide

    @property
    def relative(self) -> float:
        """Measured less expected, over expected."""
        return self.counts / self.expected - 1 if self.expected > 0 else math.nan


@dataclass(frozen=True, eq=False)
class Quantities:
    """The composition of a spectrum."""

    region: str  # what it is the composition of
    entries: tuple[Quantity, ...]  # by rising atomic number
    oxygen: str  # how oxygen was found: "stoichiometry", "measured", "none" or "formula" (of a class)
    notes: tuple[str, ...] = ()  # what the user should know, one sentence each
    residuals: tuple[
        FamilyResidual, ...
    ] = ()  # families against the simulated composition, by falling counts
    # Weight fraction that the dose gives before normalising; NaN where no standard tells the dose.
    total: float = math.nan
    mass_per_area: float = math.nan  # of a thin film, µg/cm²; NaN otherwise
    # Weight fraction of light matter without lines that the scattered background tells, or that the dose
    # leaves where weights are by dose.
    light: float = 0.0
    # What it was found with, as far as the spectrum itself told of it; None where nobody said.
    instrument: Instrument | None = None
    # Families of the elements that show and are not named; they absorb and scatter
    left_out: tuple[str, ...] = ()

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
