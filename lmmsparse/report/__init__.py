"""Tables and texts of a fit."""
