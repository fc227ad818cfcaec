"""Penalized least squares for one θ: plan, factorization, solves and selected inverse."""
