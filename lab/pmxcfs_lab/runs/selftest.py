"""Every validator's positive control: `python -m pmxcfs_lab.runs.selftest [VALIDATOR]...`."""

import subprocess
import sys

from pmxcfs_lab.runs import plants
from pmxcfs_lab.runs.validators.catalogue import BY_NAME


def main() -> None:
    """Plant one bug after the other; end with status 1 if a validator does not find its own."""
    blind = [name for name in sys.argv[1:] or BY_NAME if not _is_found(name)]
    sys.stdout.write(f"not found: {', '.join(blind)}\n" if blind else "every bug was found\n")
    raise SystemExit(bool(blind))


def _is_found(name: str) -> bool:
    program = [
        sys.executable,
        "-m",
        "pmxcfs_lab",
        "run",
        "--scenario",
        plants.scenario(name),
        "--seed",
        "1",
    ]
    minutes = f"{plants.seconds(name) / 60:.3f}"
    completed = subprocess.run([*program, "--minutes", minutes, "--plant", name], check=False)
    return completed.returncode == 0


if __name__ == "__main__":
    main()
