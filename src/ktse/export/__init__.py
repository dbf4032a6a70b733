"""The trained segmenter for other programs."""
