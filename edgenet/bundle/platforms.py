"""The table of platforms: a row here, a folder of templates and a small module make one."""

from edgenet.bundle.android_module import ANDROID
from edgenet.bundle.c_sources import C
from edgenet.bundle.flutter_package import FLUTTER
from edgenet.bundle.ios_package import IOS
from edgenet.bundle.platform import Platform
from edgenet.bundle.python_package import PYTHON
from edgenet.bundle.react_native_package import REACT_NATIVE
from edgenet.bundle.web_page import WEB
from edgenet.errors import InputError

PLATFORMS: dict[str, Platform] = {
    "android": ANDROID,
    "c": C,
    "flutter": FLUTTER,
    "ios": IOS,
    "python": PYTHON,
    "react-native": REACT_NATIVE,
    "web": WEB,
}


def parse_platform(name: str, api: str = "") -> Platform:
    """Return a platform by its name, over an API of it; raise InputError for what is not known."""
    if name not in PLATFORMS:
        raise InputError(f"unknown --platform {name!r}", allowed=", ".join(PLATFORMS))
    platform = PLATFORMS[name]
    if not api:
        return platform
    if not platform.apis:
        raise InputError(f"--api says nothing to {name}", allowed="--platform android")
    if api not in platform.apis:
        raise InputError(f"unknown --api {api!r}", allowed=", ".join(platform.apis))
    return platform.apis[api]
