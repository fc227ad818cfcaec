"""Parametric and nonparametric bootstrap: draws, refits, intervals."""
