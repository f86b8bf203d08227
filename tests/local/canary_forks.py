"""`python -m tests.local.canary_forks FD`: the fork server of a stack with careless doors."""

import sys

from sparkops.core.forkserver.server import serve
from tests.local import canary_doors

if __name__ == "__main__":
    sys.exit(serve(int(sys.argv[1]), {canary_doors.__name__: canary_doors.main}))
