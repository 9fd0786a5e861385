"""Training on the user's own classes, from a folder of photos to a run that every other verb takes."""
