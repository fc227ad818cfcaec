"""What is assumed of the rows, as numbers in working coordinates."""
