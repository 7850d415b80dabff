"""Entry point of `pmxcfs-lab` and `python -m pmxcfs_lab`."""

from pmxcfs_lab.cli import main

if __name__ == "__main__":
    main()
