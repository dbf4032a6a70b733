"""What label maps are measured by."""
