"""How fast and how good a file is, measured."""
