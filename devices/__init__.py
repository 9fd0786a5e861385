"""A machine and how to run there: local, ssh, adb, inventory, profiles and the on-device runner."""
