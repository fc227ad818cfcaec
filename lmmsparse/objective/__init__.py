"""The criterion as a function of its parameters, in working coordinates and in the user's units."""
