"""Variant x precision x device: convert, verify, check, benchmark and evaluate each, once, and keep what was found."""
