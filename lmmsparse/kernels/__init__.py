"""Compiled kernels: array-only functions, one job each.  Every one has a NumPy twin in the tests."""
