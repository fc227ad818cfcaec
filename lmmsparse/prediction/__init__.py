"""Predictions with their errors, and new responses drawn from a fit."""
