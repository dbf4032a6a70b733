"""From CAMs to pseudo masks, and which of their pixels to trust."""
