"""How partitions are named: the parent's name and a month, or `default`."""

import re

PARTITIONED = ("events", "step_attempts", "calls")

_PARTITION = re.compile(rf"({'|'.join(PARTITIONED)})_(\d{{4}}_\d{{2}}|default)")


def is_partition(table: str) -> bool:
    """Return whether a table of this name is one of the partitions."""
    return _PARTITION.fullmatch(table) is not None
