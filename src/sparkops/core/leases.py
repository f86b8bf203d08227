"""How a worker keeps a lease, and for how long it believes in one."""

HEARTBEATS = 3
"""So many times in a lease a worker extends it."""
MARGIN = 0.2
"""The last fifth of a lease is not trusted (3 s of 15): it might run out while a call is on its way."""
