"""Hypotheses of terms and contrasts, and comparisons of models."""
