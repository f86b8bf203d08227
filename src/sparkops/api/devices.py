"""What a browser says of itself, in words for people: `Firefox on Linux`."""

BROWSERS = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("HeadlessChrome/", "Chrome without a window"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
    ("python-httpx", "A Python program"),
    ("Python/", "A Python program"),
)
"""The first mark that is found counts: most browsers also claim to be the older ones below them."""
SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)
_MAX_SHOWN = 60


def device_of(user_agent: str | None) -> str | None:
    """Return a browser and its system in words; what is not known is shown as it calls itself, None if it did not."""
    if not user_agent:
        return None
    browser = next((name for mark, name in BROWSERS if mark in user_agent), None)
    system = next((name for mark, name in SYSTEMS if mark in user_agent), None)
    if browser is None:
        return user_agent[:_MAX_SHOWN]
    return f"{browser} on {system}" if system else browser
