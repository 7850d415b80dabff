"""Whose nodes the tests run on, and what those have; `make e2e PROVIDER=docker` chooses."""

import os
from pathlib import Path

from pmxcfs_lab.provider import Capability
from pmxcfs_lab.providers import DEFAULT, PROVIDERS

REPOSITORY = Path(__file__).parents[2]

PROVIDER = os.environ.get("PROVIDER") or DEFAULT

CAPABILITIES: frozenset[Capability] = PROVIDERS[PROVIDER].capabilities

PYTHON = PROVIDERS[PROVIDER].python
"""The interpreter on a node that has our packages, beside their programs."""
