"""Where a file runs: this machine, a board, a phone."""
