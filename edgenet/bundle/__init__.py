"""App bundles: a model with its labels, golden vectors and source that feeds it, for one platform."""
