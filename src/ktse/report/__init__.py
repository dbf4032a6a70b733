"""A run as one page for people: scores with their protocol, curves, and what the masks look like."""
