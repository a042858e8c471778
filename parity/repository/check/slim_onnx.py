"""An ONNX file without its weights' values, so that a graph of gigabytes is read as fast as a small one.

Protobuf's wire format (protobuf.dev/programming-guides/encoding): a message is a row of fields, each a tag
that holds its number and its kind, and then its value, or its length and its bytes. So a reader may pass over
what it does not need. Field numbers are those of onnx.proto.
"""

from __future__ import annotations

import io
import os
from typing import BinaryIO

_GRAPH_OF_MODEL = 7
_INITIALIZER_OF_GRAPH = 5
_VALUES_OF_TENSOR = (4, 5, 9, 10)
"""float_data, int32_data, raw_data, double_data: values, of which only small ones are kept."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
SMALL = 1 << 16
WHOLE = 16 << 20
"""Bytes of a file that protobuf reads faster than this does."""

LARGEST = 64 << 20
"""Bytes of everything but the weights: names, nodes, metadata."""


MOST_FIELDS = 500_000
"""Of the messages that are gone into: a graph has one a node, and a few for each weight."""


class Malformed(ValueError):
    """The bytes are no message of this kind, or more of them than any real graph has are no weights."""


def slim(file: BinaryIO) -> bytes:
    """A serialised ModelProto; of a large file, with tensors that kept name, type and dims but no values.

    Raises Malformed. What is in the fields is not looked into; protobuf does that with the result.
    """
    size = os.fstat(file.fileno()).st_size
    if size <= WHOLE:
        return file.read(WHOLE)
    return _Walker(file).message(size, [_GRAPH_OF_MODEL, _INITIALIZER_OF_GRAPH])


class _Walker:
    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.kept = 0
        self.fields = 0

    def message(self, size: int, descend: list[int]) -> bytes:
        """One message of `size` bytes from here on. descend: field numbers of the messages to go into."""
        end = self.file.tell() + size
        out = io.BytesIO()
        while self.file.tell() < end:
            self.fields += 1
            if self.fields > MOST_FIELDS:
                raise Malformed(f"over {MOST_FIELDS:,} fields")
            tag = self._varint()
            number, kind = tag >> 3, tag & 7
            if kind == _BYTES:
                length = self._varint()
                if length > end - self.file.tell():
                    raise Malformed("a field that is longer than its message")
                if descend and number == descend[0]:
                    value = self.message(length, descend[1:])
                elif not descend and number in _VALUES_OF_TENSOR and length > SMALL:
                    self.file.seek(length, os.SEEK_CUR)
                    continue
                else:
                    value = self._bytes(length)
                out.write(_encoded(tag) + _encoded(len(value)) + value)
            elif kind in (_VARINT, _FIXED64, _FIXED32):
                value = (
                    _encoded(self._varint()) if kind == _VARINT else self._bytes(8 if kind == _FIXED64 else 4)
                )
                out.write(_encoded(tag) + value)
            else:
                raise Malformed(f"a field of the unknown kind {kind}")
        if self.file.tell() != end:
            raise Malformed("a field that is longer than its message")
        return out.getvalue()

    def _bytes(self, length: int) -> bytes:
        self.kept += length
        if self.kept > LARGEST:
            raise Malformed(f"over {LARGEST >> 20} MiB besides the weights")
        value = self.file.read(length)
        if len(value) != length:
            raise Malformed("an end within a field")
        return value

    def _varint(self) -> int:
        """Seven bits a byte, the lowest first; the last byte has its highest bit unset."""
        value = 0
        for shift in range(0, 70, 7):
            byte = self._bytes(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise Malformed("a number of over 64 bits")


def _encoded(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
