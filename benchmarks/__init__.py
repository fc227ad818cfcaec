"""Time and memory of fits, beside other programs: ``python -m benchmarks``."""
