"""From an objective to estimates: starts, search, boundary, certificate."""
