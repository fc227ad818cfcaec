"""Covariance of the random effects of one level: parameters, template λ, local coordinates."""
