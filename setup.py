"""
The one part of the package that is compiled, if it can be; all else is said in setup.cfg.

Where there is no compiler the installation goes on without it: the same is there in Python.
"""

import os
import sys
import sysconfig

from setuptools import Extension, setup

IS_CPYTHON = sys.implementation.name == "cpython"
STABLE_ABI = IS_CPYTHON and not sysconfig.get_config_var("Py_GIL_DISABLED")
"""Whether what is compiled here runs on every later Python, too."""

WSFRAMES = Extension(
    "orion_twisted.core._wsframes",
    ["orion_twisted/core/_wsframes.c"],
    define_macros=[("Py_LIMITED_API", "0x030B0000")] if STABLE_ABI else [],
    py_limited_api=STABLE_ABI,
    extra_compile_args=["-std=c11"] if os.name == "posix" else [],
    optional=True,
)

setup(
    # Other interpreters call C slowly, and Python fast.
    ext_modules=[WSFRAMES] if IS_CPYTHON else [],
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if STABLE_ABI else {},
)
