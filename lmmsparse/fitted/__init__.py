"""What a fit knows of itself."""
