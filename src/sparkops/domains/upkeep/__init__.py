"""What the platform does for its own tidiness: chores, and objects that nothing refers to."""
