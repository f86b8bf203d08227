"""The world of the engine's tests, and its audit after every test."""

from tests.engine.conftest import audited, world

__all__ = ["audited", "world"]
