"""The losses of the method: pure functions of tensors."""
