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


def python_name(name: str) -> str:
    """Return a name for a Python package; raise InputError for one that cannot be."""
    return _snake(name, _PYTHON_WORDS, "Python")


def c_name(name: str) -> str:
    """Return a name that functions, a header and a CMake target begin with; raise InputError for one that cannot."""
    return _snake(name, C_WORDS, "C")


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
