"""The rungs of the repair ladder: one small file each."""
