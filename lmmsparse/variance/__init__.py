"""What a fit says of its variances: shares, marginal covariances, shrinkage, principal components."""
