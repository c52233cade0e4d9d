"""What runs in a child process: ``python -m dipstream.supervise.child``.

It takes one request after the other, until its parent closes the pipe or ends.
"""

import faulthandler
import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, BinaryIO, TypeAlias

from dipstream.errors import DipstreamError
from dipstream.supervise.limits import Limits, apply, end_with_parent, grant
from dipstream.supervise.shared import Mapped
from dipstream.supervise.wire import RECORD, Array, Message, unpack

__all__ = ["Handler", "main"]

Handler: TypeAlias = Callable[
    [Mapping[str, Any], Sequence[Array]], tuple[Mapping[str, Any], Sequence[Array]]
]
"""What does the work: takes a header and arrays, returns a header and arrays."""


def main() -> None:
    """Serve the parent that started this process."""
    about = json.loads(sys.argv[1])
    end_with_parent(about["parent"])
    requests, replies = _streams()
    faulthandler.enable()
    memory = Mapped(about["memory"])
    limits = Limits(**about["limits"])
    handler = _load(about["handler"])
    apply(limits)
    _send(replies, b"OKAY", 0, 0)
    while record := requests.read(RECORD.size):
        _, length, size = RECORD.unpack(record)
        grant(limits)
        message = _answer(handler, memory, length, size)
        if message.nbytes > size:
            _send(replies, b"GROW", message.nbytes, 0)
            _, _, size = RECORD.unpack(requests.read(RECORD.size))
        message.write(memory.at(size))
        _send(replies, b"OKAY", len(message.text), size)


def _streams() -> tuple[BinaryIO, BinaryIO]:
    """Take the pipes for ourselves: what others print must not get between the records."""
    requests, replies = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    os.close(null)
    return os.fdopen(requests, "rb", buffering=0), os.fdopen(replies, "wb", buffering=0)


def _load(name: str) -> Handler:
    module, _, attribute = name.partition(":")
    made: Handler = getattr(import_module(module), attribute)()
    return made


def _answer(handler: Handler, memory: Mapped, length: int, size: int) -> Message:
    try:
        header, arrays = unpack(memory.at(size), length, size)
        return Message(*handler(header, arrays))
    except DipstreamError as error:
        return _failure(type(error).__name__, str(error))
    except MemoryError:
        return _failure("MemoryError", "it needs more memory than it may use")
    except Exception as error:  # noqa: BLE001 - the parent says whose fault it is
        return _failure(type(error).__name__, str(error))


def _failure(kind: str, text: str) -> Message:
    return Message({"error": kind, "text": text, "trace": traceback.format_exc()[-20_000:]})


def _send(replies: BinaryIO, kind: bytes, first: int, second: int) -> None:
    replies.write(RECORD.pack(kind, first, second))


if __name__ == "__main__":
    main()
