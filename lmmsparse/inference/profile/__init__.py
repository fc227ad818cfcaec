"""Profiles of the criterion, and the intervals that follow from them."""
