"""`sparkops up`: the program around the supervisor."""

from sparkops.local.up import up

if __name__ == "__main__":
    up(prog_name="sparkops up")
