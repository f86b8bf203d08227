"""The embedded stack: a real PostgreSQL and a real Valkey as child processes, and what keeps everything alive."""
