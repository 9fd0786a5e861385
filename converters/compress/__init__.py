"""A float network with fewer different weights, fewer that are not zero, or fewer channels, made without data."""
