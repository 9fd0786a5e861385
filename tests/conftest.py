"""What all tests share: hypothesis draws the same examples each time, so that a run can be repeated.

`pytest --hypothesis-profile=search` draws new ones.
"""

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True)
settings.register_profile("search", settings.get_profile("default"))
settings.load_profile("repeatable")
