"""Build the cffi extension on install; everything else is in pyproject.toml."""

from setuptools import setup

setup(cffi_modules=["pmxcfs/ffi_build.py:ffibuilder", "pmxcfs/fuse_build.py:ffibuilder"])
