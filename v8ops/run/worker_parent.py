"""Imported by the parent of workers before it forks: what every worker needs, and needs warm.

Its workers differ in their environment, which they are given after the fork; what libraries
read from it as they are imported is set here, as `plan.clean_env` sets it.
"""

import os

os.environ["JUPYTER_PLATFORM_DIRS"] = "1"

import v8ops.run.worker  # noqa: F401
from v8ops.run.render import warm_up

warm_up()
