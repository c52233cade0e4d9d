"""From specimen and optics to the photons that reach each pixel."""
