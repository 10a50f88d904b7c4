"""Constants of physics and of the field that several rooms use."""

import math

FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))  # of a Gaussian
ELECTRON_REST_KEV = 510.99895  # rest energy, CODATA 2018
MN_KA_KEV = 5.895  # Kα1,2 of Mn, weighted: where resolutions are quoted
HC_KEV_ANGSTROM = 12.39842  # Planck's constant times the speed of light, CODATA 2018
