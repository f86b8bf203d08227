"""A stand-in for the API: says that it lives and is ready, on the address it was given."""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path in ("/health/live", "/health/ready") else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def main() -> int:
    ThreadingHTTPServer((os.environ["SPARKOPS_HOST"], int(os.environ["SPARKOPS_PORT"])), Handler).serve_forever()
    return 0


if __name__ == "__main__":
    main()
