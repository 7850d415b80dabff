"""The disk's process on a node: `python -m pmxcfs_lab.disk FOLDER SOCKET`.

Mounts itself over the folder, whose content it serves, and takes requests on the socket, one JSON
object a connection: {"mood": {...}} or {"cut": {"seed", "keep"}}; ends when it is unmounted.
"""

import json
import os
import sys
from functools import partial
from pathlib import Path

import pyfuse3
import trio

from pmxcfs_lab.disk.layer import Layer
from pmxcfs_lab.disk.mood import Mood

REQUEST_SIZE_MAX = 65_536


async def serve(layer: Layer, path: str) -> None:
    """Serve the mount until it is unmounted, and the socket meanwhile."""
    listener = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
    await listener.bind(path)
    listener.listen()
    async with trio.open_nursery() as nursery:
        answer = partial(_answer, layer)
        nursery.start_soon(trio.serve_listeners, answer, [trio.SocketListener(listener)])
        await pyfuse3.main()
        nursery.cancel_scope.cancel()


async def _answer(layer: Layer, stream: trio.SocketStream) -> None:
    async with stream:
        request = json.loads(await stream.receive_some(REQUEST_SIZE_MAX))
        try:
            answer: object = _perform(layer, request)
        except (KeyError, TypeError, OSError) as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        await stream.send_all(json.dumps(answer).encode() + b"\n")


def _perform(layer: Layer, request: dict[str, dict[str, object]]) -> object:
    if "mood" in request:
        mood = dict(request["mood"])
        failing = mood.pop("failing", ())
        layer.mood = Mood(**mood, failing=tuple(failing))  # type: ignore[arg-type]
        return {}
    return layer.cut_power(**request["cut"])  # type: ignore[arg-type]


def main() -> None:
    """Mount and serve."""
    folder, path = sys.argv[1:]
    Path(path).unlink(missing_ok=True)
    behind = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    layer = Layer(Path(f"/proc/self/fd/{behind}"))  # the folder itself, which the mount covers
    options = {*pyfuse3.default_options, "fsname=lab-disk", "allow_other"}
    pyfuse3.init(layer, folder, options)
    try:
        trio.run(serve, layer, path)
    finally:
        pyfuse3.close(unmount=True)


if __name__ == "__main__":
    main()
