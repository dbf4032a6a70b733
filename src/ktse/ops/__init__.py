"""Pure functions on tensors: nothing learned, no files."""
