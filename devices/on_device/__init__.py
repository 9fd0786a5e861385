"""What runs on a device, where there is no edgenet: the standard library, a runtime and its NumPy, Python 3.7 or newer.

devices/runner.py makes one file of these parts, so a name at module level stands in one part only.
"""
