"""The training loop and the machine below it; nothing here knows the method."""
