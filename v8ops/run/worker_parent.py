"""Imported by the parent of workers before it forks: what every worker needs, and needs warm.

Its workers differ in their environment, which they are given after the fork; what libraries
read from it as they are imported is set here, as `limits.clean_env` sets it.
"""

import gc
import importlib
import os
import sys

os.environ["JUPYTER_PLATFORM_DIRS"] = "1"
# papermill would load pyarrow, and numpy with it, for files in Hadoop. It goes without where there
# is none, and here nothing computes: a parent that forks should have no threads of numpy's.
sys.modules["pyarrow"] = None
gc.disable()  # what imports make stays, and a fork need not look through it: see `zygote.main`
importlib.import_module("v8ops.run.worker")
del sys.modules["pyarrow"]
importlib.import_module("v8ops.run.render").warm_up()
gc.freeze()
gc.enable()
