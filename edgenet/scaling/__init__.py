"""Compound scaling: a search for coefficients on images of the user's own, and the largest phi for a device."""
