"""What keeps the repository as it should be; nothing of it is installed with the platform."""
