"""A pickle machine that builds numbers, strings, plain containers and what a table of globals allows: nothing else.

Python's own `pickle` calls whatever function a file names. This one never imports anything: a global is looked up in
the caller's table, and a file that asks for any other is refused by that global's name.
"""

import pickletools
import struct
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from edgenet.errors import InputError

RESAVE = "save plain tensors instead: torch.save(model.state_dict(), FILE), or a .safetensors file"


class Stream(Protocol):
    """What the machine reads from; `read` never returns (or allocates) more than there is."""

    def read(self, size: int = ..., /) -> bytes:
        """Return at most `size` bytes."""

    def readline(self) -> bytes:
        """Return the bytes up to and with the next newline."""

    def tell(self) -> int:
        """Return the position in bytes."""


@dataclass(frozen=True)
class Global:
    """A name that a pickle may ask for, and what a call of it builds."""

    name: str
    build: Callable[..., object]


class _Mark:
    """The stack's divider."""


_MARK = _Mark()


@dataclass
class _State:
    """The stack and the memo while a pickle runs."""

    what: str
    allowed: Mapping[str, Global]
    load_persistent: Callable[[object], object]
    stack: list[Any]
    memo: dict[int, Any]

    def pop_to_mark(self) -> list[Any]:
        """Remove and return everything above the topmost mark; raise IndexError where there is none."""
        above: list[Any] = []
        while (item := self.stack.pop()) is not _MARK:
            above.append(item)
        return above[::-1]

    def refuse(self, why: str) -> InputError:
        """Return the error for something that this machine does not do."""
        return InputError(f"{self.what}: refused, {why}", allowed="tensors, numbers, text, lists, dicts", mend=RESAVE)


def run_pickle(
    stream: Stream, what: str, allowed: Mapping[str, Global], load_persistent: Callable[[object], object]
) -> object:
    """Build the object of one pickle, leaving `stream` right behind it.

    `what` names the file in messages, `allowed` maps "module name" to what may be asked for, `load_persistent` gets
    each persistent id. Raises InputError for anything else and for damaged data.
    """
    state = _State(what, allowed, load_persistent, [], {})
    position = 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of strings with unknown escapes: a file's fault, not that of a program
            for opcode, argument, at in pickletools.genops(stream):  # type: ignore[arg-type]  # it needs three methods
                position = at or 0
                handler = _HANDLERS.get(opcode.name)
                if handler is None:
                    raise state.refuse(f"it uses the pickle instruction {opcode.name}")
                handler(state, argument)
        (result,) = state.stack
    except (ValueError, IndexError, KeyError, EOFError, OverflowError, struct.error) as error:
        raise InputError(
            f"{what} is damaged near byte {position} of a pickle: {error}", mend="get the file again"
        ) from error
    return result


def _key(state: _State, key: object) -> str | int:
    # Only these hash in constant time; a nest of tuples could take for ever.
    if not isinstance(key, (str, int)):
        raise state.refuse(f"a dict has a key of type {type(key).__name__}")
    return key


def _set_items(state: _State, pairs: list[Any]) -> None:
    target = state.stack[-1]
    if not isinstance(target, dict) or len(pairs) % 2:
        raise ValueError("items for something that is not a dict")
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        target[_key(state, key)] = value


def _append(state: _State, items: list[Any]) -> None:
    target = state.stack[-1]
    if not isinstance(target, list):
        raise ValueError("items for something that is not a list")
    target.extend(items)


def _push(state: _State, value: Any) -> None:
    state.stack.append(value)


def _tuple(state: _State, count: int) -> None:
    if count > len(state.stack):
        raise IndexError("the stack is too short")
    state.stack[-count:] = [tuple(state.stack[-count:])]


def _dict(state: _State, _: object) -> None:
    pairs = state.pop_to_mark()
    state.stack.append({})
    _set_items(state, pairs)


def _memoize(state: _State, index: int) -> None:
    state.memo[index] = state.stack[-1]


def _global(state: _State, argument: str) -> None:
    name = argument.replace(" ", ".", 1)
    if name not in state.allowed:
        raise state.refuse(f"its pickle asks for {name[:120]!r}, which is code and not a tensor")
    state.stack.append(state.allowed[name])


def _stack_global(state: _State, _: object) -> None:
    name, module = state.stack.pop(), state.stack.pop()
    _global(state, f"{module} {name}" if isinstance(module, str) and isinstance(name, str) else "? ?")


def _reduce(state: _State, _: object) -> None:
    arguments, callee = state.stack.pop(), state.stack.pop()
    if not isinstance(callee, Global) or not isinstance(arguments, tuple):
        raise state.refuse("it calls something that is not a function")
    try:
        state.stack.append(callee.build(*arguments))
    except TypeError as error:
        raise state.refuse(f"it calls {callee.name} in an unknown way") from error


def _build(state: _State, _: object) -> None:
    # PyTorch hangs version numbers (`_metadata`) on a state dict this way; they say nothing about the tensors.
    state.stack.pop()
    if not isinstance(state.stack[-1], dict):
        raise state.refuse("it sets attributes of an object")


def _persistent(state: _State, _: object) -> None:
    state.stack.append(state.load_persistent(state.stack.pop()))


_Handler = Callable[[_State, Any], object]
_VALUES = (
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *(
        "STRING",
        "BINSTRING",
        "SHORT_BINSTRING",
        "UNICODE",
        "BINUNICODE",
        "SHORT_BINUNICODE",
        "BINUNICODE8",
        "BINBYTES",
        "SHORT_BINBYTES",
        "BINBYTES8",
    ),
)
_HANDLERS: dict[str, _Handler] = {
    **dict.fromkeys(_VALUES, _push),
    "PROTO": lambda state, _: None,
    "FRAME": lambda state, _: None,
    "STOP": lambda state, _: None,
    "NONE": lambda state, _: _push(state, None),
    "NEWTRUE": lambda state, _: _push(state, True),
    "NEWFALSE": lambda state, _: _push(state, False),
    "MARK": lambda state, _: _push(state, _MARK),
    "POP": lambda state, _: state.stack.pop(),
    "POP_MARK": lambda state, _: state.pop_to_mark(),
    "DUP": lambda state, _: _push(state, state.stack[-1]),
    "EMPTY_TUPLE": lambda state, _: _push(state, ()),
    "TUPLE1": lambda state, _: _tuple(state, 1),
    "TUPLE2": lambda state, _: _tuple(state, 2),
    "TUPLE3": lambda state, _: _tuple(state, 3),
    "TUPLE": lambda state, _: _push(state, tuple(state.pop_to_mark())),
    "EMPTY_LIST": lambda state, _: _push(state, []),
    "LIST": lambda state, _: _push(state, state.pop_to_mark()),
    "APPEND": lambda state, _: _append(state, [state.stack.pop()]),
    "APPENDS": lambda state, _: _append(state, state.pop_to_mark()),
    "EMPTY_DICT": lambda state, _: _push(state, {}),
    "DICT": _dict,
    "SETITEM": lambda state, _: _set_items(state, [state.stack.pop(-2), state.stack.pop()]),
    "SETITEMS": lambda state, _: _set_items(state, state.pop_to_mark()),
    "PUT": _memoize,
    "BINPUT": _memoize,
    "LONG_BINPUT": _memoize,
    "MEMOIZE": lambda state, _: _memoize(state, len(state.memo)),
    "GET": lambda state, index: _push(state, state.memo[index]),
    "BINGET": lambda state, index: _push(state, state.memo[index]),
    "LONG_BINGET": lambda state, index: _push(state, state.memo[index]),
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _reduce,
    "BUILD": _build,
    "BINPERSID": _persistent,
}
