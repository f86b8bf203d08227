"""`python -m tests.chaos.forks FD`: the fork server of a campaign, with its own doors beside the real ones."""

import sys

from sparkops.core.forkserver.server import serve
from sparkops.local.doors import load
from tests.chaos import doors

if __name__ == "__main__":
    sys.exit(serve(int(sys.argv[1]), {**load(), "tests.chaos.doors": doors.main}))
