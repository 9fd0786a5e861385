"""The message `tf.train.Example`, read without TensorFlow.

Its fields are those of tensorflow/core/example/example.proto and feature.proto; the package has a name of its own, so
that it can live in one process with TensorFlow's.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from edgenet.errors import InputError

_PACKAGE = "edgenet.labelled"
_Field = descriptor_pb2.FieldDescriptorProto
_REPEATED, _OPTIONAL = _Field.LABEL_REPEATED, _Field.LABEL_OPTIONAL
# message -> rows of (field, number, type, repeated); a type in words is another message
_MESSAGES: dict[str, tuple[tuple[str, int, int | str, bool], ...]] = {
    "BytesList": (("value", 1, _Field.TYPE_BYTES, True),),
    "FloatList": (("value", 1, _Field.TYPE_FLOAT, True),),
    "Int64List": (("value", 1, _Field.TYPE_INT64, True),),
    "Feature": (
        ("bytes_list", 1, "BytesList", False),
        ("float_list", 2, "FloatList", False),
        ("int64_list", 3, "Int64List", False),
    ),
    # A map is a repeated message of key and value.
    "Entry": (("key", 1, _Field.TYPE_STRING, False), ("value", 2, "Feature", False)),
    "Features": (("feature", 1, "Entry", True),),
    "Example": (("features", 1, "Features", False),),
}


def features_of(content: bytes, name: str) -> Mapping[str, Any]:
    """Return the features of a serialized example by name; raise InputError for bytes that are none."""
    try:
        entries = _example_class().FromString(content).features.feature
    except DecodeError as error:
        raise InputError(f"{name} is no tf.train.Example", mend="write the file again") from error
    return {entry.key: entry.value for entry in entries}


@cache
def _example_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="edgenet/example.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind, repeated in fields:
            label = _REPEATED if repeated else _OPTIONAL
            if isinstance(kind, str):
                message.field.add(
                    name=field, number=number, label=label, type=_Field.TYPE_MESSAGE, type_name=f".{_PACKAGE}.{kind}"
                )
            else:
                message.field.add(name=field, number=number, label=label, type=kind)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Example"))
