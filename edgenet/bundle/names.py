"""Names that go into source code: what each language lets a name be, and nothing else."""

from __future__ import annotations

import keyword
import re
import sys

from edgenet.errors import InputError

LONGEST_NAME, LONGEST_TEXT = 64, 200
_SNAKE = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)

# C17 and C++20, since a header is included from both; and what every C program has.
_C_TEXT = """
alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t char8_t class co_await
co_return co_yield compl concept const const_cast consteval constexpr constinit continue decltype default delete do
double dynamic_cast else enum errno explicit export extern false float for friend goto if inline int long main mutable
namespace new noexcept not not_eq nullptr operator or or_eq private protected public register reinterpret_cast requires
restrict return short signed sizeof static static_assert static_cast stderr stdin stdout struct switch template this
thread_local throw true try typedef typeid typename union unsigned using virtual void volatile wchar_t while xor xor_eq
"""
C_WORDS = frozenset(_C_TEXT.split())
# A package of one of these names would stand before the real one.
_PYTHON_WORDS = (
    frozenset(keyword.kwlist)
    | frozenset(keyword.softkwlist)
    | frozenset(sys.stdlib_module_names)
    | {"ai_edge_litert", "numpy", "pil", "pip", "setuptools", "test", "tests", "tflite_runtime"}
)
# What neither Java nor Kotlin lets a part of a package be: the R class of a module is Java.
_JVM_TEXT = """
abstract as assert boolean break byte case catch char class const continue default do double else enum extends false
final finally float for fun goto if implements import in instanceof int interface is long native new null object package
private protected public return short static strictfp super switch synchronized this throw throws transient true try
typealias typeof val var void volatile when while
"""
JVM_WORDS = frozenset(_JVM_TEXT.split())
_JVM_PART = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)
# Classes of others.
_JVM_TAKEN = (
    "android", "androidx", "java", "javax", "kotlin", "com.google.ai.edge.litert", "com.google.mediapipe",
    "org.tensorflow",
)  # fmt: skip
LONGEST_PACKAGE = 100
# Swift's words, those that stand before a member, and modules and types that the sources of a package use: a module of
# such a name would hide them. A file system that knows no capitals takes them in any writing.
_SWIFT_TEXT = """
actor any as associatedtype async await break case catch class continue default defer deinit do else enum extension
fallthrough false fileprivate for func guard if import in init inout internal is let macro nil nonisolated open operator
package precedencegroup private protocol public repeat rethrows return self some static struct subscript super switch
throw throws true try type typealias var where while
answer classifier classifiererror clitert coregraphics coreml corevideo foundation golden imageio litert
litertmetalaccelerator litertmodel model packagedescription photo preprocessing processor refusal swift testing uikit
videotoolbox xctest
"""
SWIFT_WORDS = frozenset(_SWIFT_TEXT.split())
_SWIFT = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)
# What pub lets no package be called, and the packages that Flutter or the bundle itself bring along.
_DART_TEXT = """
assert async await break case catch class const continue default do else enum extends false final finally for if in is
new null rethrow return super switch sync this throw true try var void while with yield
characters collection ffi flutter flutter_driver flutter_lints flutter_litert flutter_localizations flutter_test
flutter_web_plugins image integration_test lints material_color_utilities meta path plugin quiver sky_engine test
test_api vector_math web
"""
_DART_WORDS = frozenset(_DART_TEXT.split())
_NPM = re.compile(r"(@[a-z][a-z0-9._-]*/)?[a-z][a-z0-9._-]*", re.ASCII)
# What npm lets no package be called: two names of its own, and Node.js' modules. Then what the bundle itself needs.
_NPM_TEXT = """
favicon.ico node_modules
assert async_hooks buffer child_process cluster console constants crypto dgram diagnostics_channel dns domain events fs
http http2 https inspector module net os path perf_hooks process punycode querystring readline repl stream
string_decoder sys timers tls trace_events tty url util v8 vm wasi worker_threads zlib
react react-native react-native-fast-tflite react-native-nitro-modules typescript
@react-native/metro-config @shopify/react-native-skia @types/node @types/react
"""
_NPM_WORDS = frozenset(_NPM_TEXT.split())


def python_name(name: str) -> str:
    """Return a name for a Python package; raise InputError for one that cannot be."""
    return _snake(name, _PYTHON_WORDS, "Python")


def c_name(name: str) -> str:
    """Return a name that functions, a header and a CMake target begin with; raise InputError for one that cannot."""
    return _snake(name, C_WORDS, "C")


def android_name(name: str) -> str:
    """Return a name for a Gradle module, its assets and the end of a package; raise InputError for one that cannot."""
    return _snake(name, JVM_WORDS, "Java or Kotlin")


def swift_name(name: str) -> str:
    """Return a name for a Swift package, its module and its tests; raise InputError for one that cannot be."""
    if len(name) > LONGEST_NAME or not _SWIFT.fullmatch(name):
        allowed = f"a-z, A-Z, 0-9 and _, beginning with a letter, at most {LONGEST_NAME} characters"
        raise InputError(f"--name cannot be {name[:80]!r}", allowed=allowed)
    if name.lower() in SWIFT_WORDS:
        raise InputError(f"--name cannot be {name!r}: Swift has a meaning for it", mend=f"try {name}Classifier")
    return name


def jvm_package(name: str) -> str:
    """Return a package of Java and Kotlin, as in com.example.flowers; raise InputError for one that cannot be."""
    parts = name.split(".")
    if len(name) > LONGEST_PACKAGE or len(parts) < 2 or not all(map(_JVM_PART.fullmatch, parts)):
        allowed = f"two parts or more of a-z, A-Z, 0-9 and _, each beginning with a letter, at most {LONGEST_PACKAGE}"
        raise InputError(f"--package cannot be {name[:120]!r}", allowed=allowed, mend="--package com.example.flowers")
    word = next((part for part in parts if part in JVM_WORDS), None)
    if word is not None:
        raise InputError(f"--package cannot be {name!r}: {word} is a word of Java or Kotlin", mend=f"try {word}s")
    taken = next((top for top in _JVM_TAKEN if f"{name}.".startswith(f"{top}.")), None)
    if taken is not None:
        raise InputError(
            f"--package cannot be {name!r}: {taken} belongs to others", mend="--package com.example.flowers"
        )
    return name


def dart_name(name: str) -> str:
    """Return a name for a Dart package and its library; raise InputError for one that cannot be."""
    return _snake(name, _DART_WORDS, "Dart or Flutter")


def npm_name(name: str) -> str:
    """Return a name for an npm package, which may have a scope; raise InputError for one that cannot be."""
    if len(name) > LONGEST_NAME or not _NPM.fullmatch(name):
        allowed = f"a-z, 0-9, -, _ and ., beginning with a letter, @scope/ before it, at most {LONGEST_NAME} characters"
        raise InputError(f"--name cannot be {name[:80]!r}", allowed=allowed)
    if name in _NPM_WORDS:
        mend = f"try {name}-classifier"
        raise InputError(f"--name cannot be {name!r}: npm or Node.js has a meaning for it", mend=mend)
    return name


def plain_text(flag: str, text: str) -> str:
    """Return a line for people, which may be empty; raise InputError for one that is long or cannot be printed."""
    if len(text) > LONGEST_TEXT or not text.isprintable():
        raise InputError(f"{flag} cannot be {text[:80]!r}", allowed=f"at most {LONGEST_TEXT} printable characters")
    return text


def title(name: str) -> str:
    """Return a title for people; raise InputError for one that is empty, too long or cannot be printed."""
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        raise InputError(f"--name cannot be {name[:80]!r}", allowed=f"1 to {LONGEST_NAME} printable characters")
    return name


def _snake(name: str, words: frozenset[str], language: str) -> str:
    if len(name) > LONGEST_NAME or not _SNAKE.fullmatch(name):
        allowed = f"a-z, 0-9 and _, beginning with a letter, at most {LONGEST_NAME} characters"
        raise InputError(f"--name cannot be {name[:80]!r}", allowed=allowed)
    if name in words:
        raise InputError(f"--name cannot be {name!r}: {language} has a meaning for it", mend=f"try {name}_classifier")
    return name


def default_name(variant: str) -> str:
    """Return the name of a bundle that was given none, made from its variant: lite0_classifier."""
    return f"{re.sub('[^a-z0-9]+', '_', variant.lower()).strip('_')}_classifier"


def default_swift_name(variant: str) -> str:
    """Return the name of a Swift package that was given none: Lite0Classifier."""
    return "".join(part.capitalize() for part in default_name(variant).split("_"))
