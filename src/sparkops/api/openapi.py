"""`python -m sparkops.api.openapi [FILE]`: writes the OpenAPI document, from which the pages' client is generated."""

import sys
from pathlib import Path

from sparkops.api.app import create_app
from sparkops.api.schema import rendered
from sparkops.core.config import Settings


def main(arguments: list[str]) -> None:
    """Write the document to the file named, or to standard output."""
    document = rendered(create_app(Settings()))
    if arguments:
        Path(arguments[0]).write_bytes(document)
    else:
        sys.stdout.buffer.write(document)


if __name__ == "__main__":
    main(sys.argv[1:])
