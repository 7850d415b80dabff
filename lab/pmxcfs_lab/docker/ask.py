"""Run in a container: hands one request to the node's first program and writes the answer."""

import json
import sys

from pmxcfs_lab.docker.node_paths import CONTROL
from pmxcfs_lab.errors import LabError
from pmxcfs_lab.namespaces import control

ANSWER_WITHIN_S = 60.0


def main() -> None:
    """Take a request as a JSON object in the first argument."""
    request = json.loads(sys.argv[1])
    try:
        answer = control.request(CONTROL, request.pop("verb"), timeout_s=ANSWER_WITHIN_S, **request)
    except LabError as error:
        sys.exit(str(error))
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
