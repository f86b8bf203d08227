"""How processes ring each other: Celery for work, Redis channels for logs. Everything here may be lost."""
