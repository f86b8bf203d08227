"""`sparkops demo`: the main job end to end on a stack of its own, with a worker killed in the middle."""
