"""How good seeds, masks and predictions are, and under which protocol that was found."""
