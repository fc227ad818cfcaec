"""The blocks of [Z X y]ᵀW[Z X y]: rows in, blocks out."""
