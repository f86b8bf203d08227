"""The example that the platform can show itself with: real data in a database of its own, and a project around it."""

from pathlib import Path

import sparkops

DATABASE = "weather"
CONNECTION = "weather"
PROJECT = "weather"


def example_dir() -> Path:
    """Return where the example's files lie: beside an installed package, or in the source tree."""
    package = Path(sparkops.__file__).parent
    shipped = package / "examples" / "weather"
    return shipped if shipped.is_dir() else package.parents[1] / "examples" / "weather"
