"""Searches for the minimum of callables; they know no model."""
