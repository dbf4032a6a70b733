"""The segmenter: learned from pseudo masks, it predicts label maps for images without tags."""
