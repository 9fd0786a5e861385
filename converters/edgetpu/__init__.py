"""The Edge TPU compiler: how it is asked, and what its logs and its files say."""
