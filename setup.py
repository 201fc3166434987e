"""
The parts of the package that are compiled, if they can be; all else is said in setup.cfg.

Where there is no compiler the installation goes on without it: the same is there in Python.
"""

import os
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, setup

IS_CPYTHON = sys.implementation.name == "cpython"
STABLE_ABI = IS_CPYTHON and not sysconfig.get_config_var("Py_GIL_DISABLED")
"""Whether what is compiled here runs on every later Python, too."""

EXTENSIONS = [
    Extension(
        f"orion_twisted.{room}._{name}",
        [f"orion_twisted/{room}/{name}_c/module.c"],
        depends=sorted(map(str, Path("orion_twisted", room, f"{name}_c").glob("*.h"))),
        define_macros=[("Py_LIMITED_API", "0x030B0000")] if STABLE_ABI else [],
        py_limited_api=STABLE_ABI,
        extra_compile_args=["-std=c11"] if os.name == "posix" else [],
        optional=True,
    )
    for room, name in (("core", "wsframes"), ("net", "pump"))
]

setup(
    # Other interpreters call C slowly, and Python fast.
    ext_modules=EXTENSIONS if IS_CPYTHON else [],
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if STABLE_ABI else {},
)
