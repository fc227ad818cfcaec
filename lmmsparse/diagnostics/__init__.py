"""What is wrong with a fit, or with its data: residuals, influence, singular covariances."""
