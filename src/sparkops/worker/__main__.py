"""`python -m sparkops.worker [--queues run,policy]`: one worker process, settings from the environment."""

import argparse
import asyncio
import os
import sys
from uuid import UUID

from sparkops.core import log
from sparkops.core.config import load_settings
from sparkops.core.db import check_durable
from sparkops.core.errors import ConfigError
from sparkops.core.ids import new_id
from sparkops.messenger.app import QUEUES
from sparkops.worker.app import run_worker
from sparkops.worker.isolation import SESSION


def main() -> int:
    """Run a worker; the exit code of a configuration that is not valid is 2."""
    parser = argparse.ArgumentParser(prog="sparkops worker")
    parser.add_argument("--queues", default=",".join(QUEUES), help="kinds of work to take, separated by commas")
    queues = [queue.strip() for queue in parser.parse_args().queues.split(",")]
    try:
        settings = load_settings()
        session_id = UUID(os.environ[SESSION]) if SESSION in os.environ else new_id()
        log.configure(level=settings.log_level, fmt=settings.log_format, role="worker")
        if settings.require_durable:
            asyncio.run(check_durable(settings.app_login[0]))
        return run_worker(settings, session_id=session_id, queues=queues)
    except ConfigError as error:
        print(error.detail, file=sys.stderr)  # noqa: T201 -- the one sentence for who started it
        return 2


if __name__ == "__main__":
    sys.exit(main())
