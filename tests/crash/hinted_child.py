"""A whole worker, Celery and all, that is quick to notice that no hints come: `python -m tests.crash.hinted_child`."""

import sys
from datetime import timedelta
from functools import partial

from sparkops.worker import __main__ as program
from sparkops.worker import app
from sparkops.worker.hints import HintWatch

SILENT_SECONDS = 4.0
"""Twice the pause between two sweeps, which ring for work that waits."""

if __name__ == "__main__":
    quick = partial(HintWatch, waiting=timedelta(seconds=0.5), silent_seconds=SILENT_SECONDS, look_seconds=0.2)
    vars(app)["HintWatch"] = quick
    sys.exit(program.main())
