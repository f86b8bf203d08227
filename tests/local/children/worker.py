"""A stand-in for a worker: notes the session it was started under, and starts a process of its own."""

import os
import subprocess
import sys
import time
from pathlib import Path


def main() -> int:
    own = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    with (Path(os.environ["SPARKOPS_DATA_DIR"]) / "sessions").open("a") as file:
        file.write(f"{os.getpid()} {own.pid} {os.environ['SPARK_WORKER_SESSION']}\n")
    while True:
        time.sleep(1)


if __name__ == "__main__":
    main()
