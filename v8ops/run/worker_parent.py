"""Imported by the parent of workers before it forks: what every worker needs, and needs warm.

Its workers differ in their environment, which they are given after the fork; what libraries
read from it as they are imported is set here, as `limits.clean_env` sets it.
"""

import gc
import importlib
import os

os.environ["JUPYTER_PLATFORM_DIRS"] = "1"
gc.disable()  # what imports make stays, and a fork need not look through it: see `zygote.main`
importlib.import_module("v8ops.run.worker")
importlib.import_module("v8ops.run.render").warm_up()
gc.freeze()
gc.enable()
