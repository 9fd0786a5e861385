"""Accuracy: how often files name what photos show, in one pass over a labelled set."""
