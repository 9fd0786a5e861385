"""Platform `android`: a Gradle library module in Kotlin over LiteRT, MediaPipe or TensorFlow Lite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import TYPE_CHECKING

from edgenet.bundle.names import android_name, default_name, jvm_package
from edgenet.bundle.plain_golden import plain_golden
from edgenet.bundle.platform import Files, Platform
from edgenet.precision import IO_TYPES, IoType

if TYPE_CHECKING:
    from edgenet.bundle.content import Content
    from edgenet.bundle.record import EndRecord

GOLDEN = "src/androidTest/assets/golden/"
# Of the build, as their publishers' own files and builds of others name them in 2026.
VERSIONS = {
    "android_plugin": "9.4.0",
    "camerax": "1.5.1",
    "junit": "4.13.2",
    "test_runner": "1.6.2",
    "test_junit": "1.2.1",
}


@dataclass(frozen=True)
class Api:
    """One of the APIs that run a .tflite file on Android, as templates speak of it."""

    title: str
    dependency: str  # how Gradle takes the libraries: an app names the classes of an `api`
    libraries: tuple[str, ...]
    accelerator_package: str = ""  # where the enum of accelerators comes from; "": the module has its own
    inputs: tuple[IoType, ...] = IO_TYPES


APIS = {
    "litert": Api(
        title="LiteRT",
        dependency="api",
        libraries=("com.google.ai.edge.litert:litert:2.2.0",),
        accelerator_package="com.google.ai.edge.litert",
    ),
    "mediapipe": Api(
        title="MediaPipe",
        dependency="implementation",
        libraries=("com.google.mediapipe:tasks-vision:1.0.0",),
        inputs=("uint8", "float32"),
    ),
    "tflite": Api(
        title="TensorFlow Lite",
        dependency="implementation",
        libraries=(
            "org.tensorflow:tensorflow-lite:2.17.0",
            "org.tensorflow:tensorflow-lite-gpu:2.17.0",
            "org.tensorflow:tensorflow-lite-gpu-api:2.17.0",
        ),
    ),
}
DEFAULT_API = "litert"
_BYTES = {"uint8": 1, "int8": 1, "float32": 4}
_LEVELS = {"uint8": "(raw[it].toInt() and 255)", "int8": "raw[it].toInt()", "float32": ""}  # Kotlin's bytes have signs


def _variables(name: str, content: Content) -> Mapping[str, object]:
    package = jvm_package(content.wishes.package or f"com.example.{content.name}")
    output = content.output
    level = _LEVELS[output.type]
    return {
        "api_name": name,
        "api": APIS[name],
        "package": package,
        "package_folder": package.replace(".", "/"),
        "versions": VERSIONS,
        "input_bytes": _size_bytes(content.input),
        "output_bytes": _size_bytes(output),
        "kotlin_logit": f"({level} - ({output.zero_point})) * {output.scale:.9e}f",
    }


def _size_bytes(end: EndRecord) -> int:
    return prod(end.shape) * _BYTES[end.type]


def _more(content: Content, files: Files) -> Files:
    """Return the golden vectors as both tests read them."""
    return plain_golden(content.golden, GOLDEN)


def _platform(name: str) -> Platform:
    return Platform(
        templates="android",
        about="a Gradle library module in Kotlin over LiteRT, MediaPipe or TensorFlow Lite",
        assets="src/main/assets/{name}/",
        golden=GOLDEN,
        check_name=android_name,
        default_name=default_name,
        next_step="gradle -p {out} testDebugUnitTest connectedDebugAndroidTest",
        takes_package=True,
        api=name,
        api_templates=f"android_{name}",
        inputs=APIS[name].inputs,
        variables=partial(_variables, name),
        more=_more,
    )


ANDROID = replace(_platform(DEFAULT_API), apis={name: _platform(name) for name in APIS})
