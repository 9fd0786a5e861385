"""Read Dart by its tree-sitter grammar: is it Dart, and what would its arithmetic give?

A program for a Python of its own with `tree-sitter` and `tree-sitter-dart`. `errors FOLDER` prints what is no Dart as
JSON, `javascript FILE` the file as JavaScript: its expressions and statements as they stand, with whole numbers divided
and shifted as Dart does. Classes, types and null safety are not checked: types are dropped.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import tree_sitter_dart
from tree_sitter import Language, Node, Parser

PARSER = Parser(Language(tree_sitter_dart.language()))
# What Dart has and JavaScript calls otherwise.
PRELUDE = """
const define = (kind, members) => {
  for (const [name, member] of Object.entries(members)) {
    Object.defineProperty(kind.prototype, name, { ...member, configurable: true });
  }
};
define(Number, {
  toInt: { value: function () { return Math.trunc(this); } },
  abs: { value: function () { return Math.abs(this); } },
  isOdd: { get: function () { return this % 2 !== 0; } },
});
define(Array, { add: { value: Array.prototype.push } });
define(ArrayBuffer, { asUint8List: { value: function () { return new Uint8Array(this); } } });
const math = { min: Math.min, max: Math.max };
const [Uint8List, Uint8ClampedList, Int32List, Float64List] =
  [Uint8Array, Uint8ClampedArray, Int32Array, Float64Array].map((Kind) => (length) => new Kind(length));
const ArgumentError = Object.assign((text) => new RangeError(text),
  { value: (value, name, text) => new RangeError(`${name}: ${value}: ${text}`) });
"""
_DROPPED = {"import_or_export", "library_name", "documentation_comment", "comment", "type_identifier", "nullable_type"}
_DROPPED |= {"type_arguments", "required"}
_LOCAL = {"final_builtin", "const_builtin", "inferred_type"}


def errors(path: Path) -> list[str]:
    """Return where a file is no Dart."""
    root = PARSER.parse(path.read_bytes()).root_node
    return [f"{path.name}:{node.start_point[0] + 1}: {_text(node)[:60]!r}" for node in _wrong(root)]


def _wrong(node: Node) -> Iterator[Node]:
    if node.type == "ERROR" or node.is_missing:
        yield node
    for child in node.children:
        yield from _wrong(child)


def _text(node: Node) -> str:
    return (node.text or b"").decode()


def javascript(path: Path) -> str:
    """Return a file as a JavaScript module that exports its functions and classes."""
    root = PARSER.parse(path.read_bytes()).root_node
    parts, names = [PRELUDE], []
    for node in root.children:
        if node.type in ("enum_declaration", "class_definition", "function_signature"):
            names.append(_name(node))
        parts.append(_top(node))
    return "\n".join([*parts, f"module.exports = {{ {', '.join(names)} }};", ""])


def _name(node: Node) -> str:
    return next(_text(child) for child in node.children if child.type == "identifier")


def _top(node: Node) -> str:
    if node.type == "enum_declaration":
        values = [_name(child) for child in node.children[-1].children if child.type == "enum_constant"]
        return f"const {_name(node)} = {{ {', '.join(f'{value}: {value!r}' for value in values)} }};"
    if node.type == "class_definition":
        return _class(node)
    if node.type == "function_signature":
        return f"function {_name(node)}{_parameters(_child(node, 'formal_parameter_list'))}"
    if node.type == "function_body" and node.children[0].type != "block":
        return f"{{ return {''.join(_emit(child) for child in node.children[1:])} }}"
    return "const" if node.type == "const_builtin" else _emit(node)


def _child(node: Node, kind: str) -> Node:
    return next(child for child in node.children if child.type == kind)


def _class(node: Node) -> str:
    """Return a class as a function that makes an object, and its factories as members of that function."""
    name, parts = _name(node), []
    members = _child(node, "class_body").children
    for place, member in enumerate(members):
        inner = member.children[0] if member.children else member
        if inner.type == "constructor_signature":
            parameters = _child(inner, "formal_parameter_list")
            fields = "".join(f"self.{field} = {field}; " for field in _fields(parameters))
            for start in (child for child in member.children if child.type == "initializers"):
                row = start.children[1].children[0]
                fields += f"self.{_text(row.children[0])} = {''.join(_emit(child) for child in row.children[2:])}; "
            after = members[place + 1] if place + 1 < len(members) else None
            body = _emit(after)[1:-1] if after is not None and after.type == "function_body" else ""
            whole = f"const self = {{}}; {fields}{body} return self;"
            parts.append(f"function {name}{_parameters(parameters)} {{ {whole} }}")
        elif inner.type == "factory_constructor_signature":
            factory = [_text(child) for child in inner.children if child.type == "identifier"][-1]
            parameters = _parameters(_child(inner, "formal_parameter_list"))
            parts.append(f"{name}.{factory} = function {parameters} {_emit(members[place + 1])};")
    return "\n".join(parts)


def _fields(parameters: Node) -> Iterator[str]:
    """Yield the fields that parameters fill: `this.name`."""
    for child in parameters.children:
        if child.type == "constructor_param":
            yield _text(child.children[-1])
        else:
            yield from _fields(child)


def _parameters(node: Node) -> str:
    return "".join(_emit(child) for child in node.children)


def _emit(node: Node) -> str:
    """Return a part of the source, what is between its parts as it stands."""
    if node.type in _DROPPED:
        return ""
    if node.type in _LOCAL:
        return "let "
    if node.type == "this":
        return "self"
    if node.type == "constructor_param":
        return _text(node.children[-1])
    if node.type == "optional_formal_parameters":
        return "".join(_emit(child) for child in node.children) + " = {}"
    if node.type == "string_literal":
        return _string(node)
    if node.type == "arguments":
        return _arguments(node)
    if node.type in ("multiplicative_expression", "shift_expression"):
        return _folded(node)
    if not node.children:
        return _text(node)
    parts, end = [], node.start_byte
    for child in node.children:
        parts.append(" " if child.start_byte > end else "")
        parts.append(_emit(child))
        end = child.end_byte
    return "".join(parts)


def _string(node: Node) -> str:
    """Return a string of one or more parts, which may hold expressions."""
    source, parts, inside, end = (node.text or b"").decode(), [], False, 0
    for child in node.children:
        start = child.start_byte - node.start_byte
        parts.append(source[end:start] if inside else "")
        end = child.end_byte - node.start_byte
        if child.type == "'":
            inside = not inside
        else:
            parts.append(f"${{{''.join(_emit(part) for part in child.children if part.type not in '${}')}}}")
    return f"`{''.join(parts)}`"


def _arguments(node: Node) -> str:
    given = [child for child in node.children if child.type == "argument"]
    named = [child for child in node.children if child.type == "named_argument"]
    words = [_emit(child) for child in given]
    words += [f"{{ {', '.join(_emit(child) for child in named)} }}"] if named else []
    return f"({', '.join(words)})"


def _folded(node: Node) -> str:
    """Return products and shifts from left to right, whichever way the grammar nests them."""
    operands: list[str] = [""]
    operators: list[str] = []
    for child in _flat(node, node.type):
        if child.type in ("multiplicative_operator", "shift_operator"):
            operators.append(_text(child))
            operands.append("")
        else:
            operands[-1] += _emit(child)
    text = operands[0]
    for operator, operand in zip(operators, operands[1:], strict=True):
        text = {
            "~/": f"Math.trunc({text} / {operand})",
            ">>": f"Math.floor({text} / 2 ** {operand})",
            "<<": f"(({text}) * 2 ** {operand})",
        }.get(operator, f"{text} {operator} {operand}")
    return text


def _flat(node: Node, kind: str) -> Iterator[Node]:
    for child in node.children:
        if child.type == kind:
            yield from _flat(child, kind)
        else:
            yield child


if __name__ == "__main__":
    command, where = sys.argv[1], Path(sys.argv[2])
    if command == "errors":
        sys.stdout.write(json.dumps([line for path in sorted(where.rglob("*.dart")) for line in errors(path)]))
    else:
        sys.stdout.write(javascript(where))
