"""`python -m sparkops.api.openapi [FILE]`: writes the OpenAPI document, from which the pages' client is generated."""

import sys
from pathlib import Path

from sparkops.api.app import create_app
from sparkops.api.schema import rendered
from sparkops.core.config import Settings

DEFAULT = Path("web/openapi.json")


def main(arguments: list[str]) -> None:
    """Write the document to the file named, or to where the pages expect it."""
    target = Path(arguments[0]) if arguments else DEFAULT
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(rendered(create_app(Settings())))


if __name__ == "__main__":
    main(sys.argv[1:])
