"""Prints what this node knows of published values: `python -m ...values KEY... -- NODE...`."""

import hashlib
import json
import sys

from pmxcfs_lab.runs.clients.ipc import NAME_BYTES, Connection

GET_STATUS = 5


def main() -> None:
    """Print a JSON object: digests of values by "node/key", or the number of the error."""
    keys, nodes = _parted(sys.argv[1:])
    connection = Connection()
    found: dict[str, str] = {}
    for node in nodes:
        for key in keys:
            payload = key.encode().ljust(NAME_BYTES, b"\0") + node.encode().ljust(NAME_BYTES, b"\0")
            try:
                value = connection.ask(GET_STATUS, payload)
                found[f"{node}/{key}"] = hashlib.sha256(value).hexdigest()[:12]
            except OSError as error:
                found[f"{node}/{key}"] = f"error {error.errno}"
    print(json.dumps(found, sort_keys=True))


def _parted(words: list[str]) -> tuple[list[str], list[str]]:
    middle = words.index("--")
    return words[:middle], words[middle + 1 :]


if __name__ == "__main__":
    main()
