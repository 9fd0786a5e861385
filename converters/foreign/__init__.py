"""Models that were fine-tuned elsewhere: recognised as a variant, and read."""
