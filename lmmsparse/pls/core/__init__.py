"""The part of M(θ) that is left when no more can be peeled: graph, order, factorization."""
