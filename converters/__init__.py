"""From a network to a file, and from a file to a smaller one."""
