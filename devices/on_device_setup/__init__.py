"""Small programs of the standard library that setup and check run on a device; each has to run under Python 3.7."""
