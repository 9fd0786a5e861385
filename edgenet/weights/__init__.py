"""Where weights come from, and how their names are read."""
