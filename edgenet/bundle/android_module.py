"""Platform `android`: a Gradle library module in Kotlin over LiteRT."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgenet.bundle.names import android_name, default_name, jvm_package
from edgenet.bundle.plain_golden import plain_golden
from edgenet.bundle.platform import Files, Platform

if TYPE_CHECKING:
    from edgenet.bundle.content import Content

GOLDEN = "src/androidTest/assets/golden/"
# Of the build, as their publishers' own files and builds of others name them in 2026.
VERSIONS = {
    "android_plugin": "9.4.0",
    "litert": "2.2.0",
    "camerax": "1.5.1",
    "junit": "4.13.2",
    "test_runner": "1.6.2",
    "test_junit": "1.2.1",
}


def _variables(content: Content) -> Mapping[str, object]:
    package = jvm_package(content.wishes.package or f"com.example.{content.name}")
    return {
        "package": package,
        "package_folder": package.replace(".", "/"),
        "versions": VERSIONS,
        "kotlin_scale": f"{content.output.scale:.9e}f",
    }


def _more(content: Content, files: Files) -> Files:
    """Return the golden vectors as both tests read them."""
    return plain_golden(content.golden, GOLDEN)


ANDROID = Platform(
    templates="android",
    about="a Gradle library module in Kotlin over LiteRT",
    assets="src/main/assets/{name}/",
    golden=GOLDEN,
    check_name=android_name,
    default_name=default_name,
    next_step="gradle -p {out} testDebugUnitTest connectedDebugAndroidTest",
    takes_package=True,
    variables=_variables,
    more=_more,
)
