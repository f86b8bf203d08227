"""TCP ports on this machine."""

import os
import socket

from sparkops.local.errors import StartError

LOOPBACK = "127.0.0.1"


def free_port(host: str = LOOPBACK) -> int:
    """Return a port that was free a moment ago; whoever binds it must be ready to lose the race."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def claimable(host: str, port: int) -> int:
    """Return `port`, or a free one for 0, once it is certain that this process may bind it.

    Raises:
        StartError: the port is in use, or the address is not one of this machine's.
    """
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            taken: int = probe.getsockname()[1]
            return taken
    except socket.gaierror:
        raise StartError(f"The host {host} is not an address of this machine; choose another with --host.") from None
    except PermissionError:
        raise StartError(f"Port {port} on {host} may not be used by this user; choose one above 1023.") from None
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise StartError(
            f"Port {port} on {host} cannot be used ({reason}); choose another with --port, or 0 for any."
        ) from None
