"""What is installed is what was locked, and nothing in it runs before it is asked to."""

import json
import re
import site
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = [*sorted(ROOT.glob("requirements*.lock")), ROOT / "tests/peers/requirements.lock"]

KNOWN_PTH = {
    "_editable_impl_sparkops.pth": r"/[^\n;]*/src",
    "distutils-precedence.pth": re.escape(
        "import os; var = 'SETUPTOOLS_USE_DISTUTILS'; enabled = os.environ.get(var, 'local') == 'local'; "
        "enabled and __import__('_distutils_hack').add_shim();"
    ),
}
"""Files that Python reads at its start, by what each may hold: one line, the folder of this code; and what setuptools
leaves, which Python 3.11 puts into every new environment."""

PATCHED = {
    "celery": "5.6.0",  # broker passwords in logs
    "certifi": "2024.7.4",  # CVE-2024-39689
    "cryptography": "44.0.1",  # CVE-2024-12797
    "fastapi": "0.109.1",  # CVE-2024-24762
    "h11": "0.16.0",  # CVE-2025-43859
    "idna": "3.7",  # CVE-2024-3651
    "mako": "1.2.2",  # CVE-2022-40023
    "orjson": "3.9.15",  # CVE-2024-27454
    "pydantic": "2.4.0",  # CVE-2024-3772
    "pyjwt": "2.10.1",  # CVE-2024-53861
    "redis": "4.5.5",  # CVE-2023-28859
    "requests": "2.32.4",  # CVE-2024-47081
    "starlette": "0.49.1",  # CVE-2025-62727
    "urllib3": "2.6.0",  # CVE-2025-66418, CVE-2025-66471
    "websockets": "9.1",  # CVE-2021-33880
}
"""The first release without a weakness that was published, as known on 2026-11-23. No advisory service is asked: one
that does not answer looks like one that knows nothing."""


def pins(lock: Path) -> dict[str, str]:
    found = re.findall(r"^([\w.\-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", lock.read_text(encoding="utf-8"), re.MULTILINE)
    return dict(found)


def release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition(".post")[0]))


def start_files(folder: Path) -> Iterator[str]:
    """Yield what in a folder of packages runs at the start of Python, or changes where it looks."""
    for path in sorted(folder.glob("*.pth")):
        text = path.read_text(encoding="utf-8").strip()
        allowed = KNOWN_PTH.get(path.name)
        if allowed is None or re.fullmatch(allowed, text) is None:
            yield path.name
    yield from (name for name in ("sitecustomize.py", "usercustomize.py") if (folder / name).exists())


def test_nothing_in_the_environment_runs_when_python_starts() -> None:
    assert [name for folder in site.getsitepackages() for name in start_files(Path(folder))] == []


def test_nothing_in_the_environment_of_the_peers_runs_when_python_starts() -> None:
    found = [name for folder in ROOT.glob(".venv-peers/lib/python*/site-packages") for name in start_files(folder)]
    assert found == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("litellm_init.pth", "import os, base64; exec(base64.b64decode('cHJpbnQoMSk='))"),
        ("_editable_impl_sparkops.pth", "import os; os.system('id')"),
        ("_editable_impl_sparkops.pth", "/home/me/src\nimport os"),
        ("distutils-precedence.pth", "import os"),
        ("sitecustomize.py", "pass"),
    ],
)
def test_a_file_that_runs_when_python_starts_is_noticed(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert [*start_files(tmp_path)] == [name]


def test_the_known_file_is_let_be(tmp_path: Path) -> None:
    (tmp_path / "_editable_impl_sparkops.pth").write_text("/srv/sparkops/src\n", encoding="utf-8")
    assert [*start_files(tmp_path)] == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.relative_to(ROOT).as_posix())
def test_every_python_package_is_pinned_to_files_by_their_hash(lock: Path) -> None:
    blocks = re.split(r"\n(?=\S)", lock.read_text(encoding="utf-8").strip())
    assert blocks
    unpinned = [block.splitlines()[0] for block in blocks if "==" not in block or "--hash=sha256:" not in block]
    assert unpinned == []


def test_every_package_of_the_pages_is_pinned_to_one_file_by_its_hash() -> None:
    packages = json.loads((ROOT / "web/package-lock.json").read_text(encoding="utf-8"))["packages"]
    unpinned = {
        path
        for path, entry in packages.items()
        if path and not str(entry.get("integrity", "")).startswith("sha512-") and not entry.get("optional")
    }
    assert unpinned == set(), "only builds for other systems, which nobody has downloaded, may lack theirs"
    assert all(entry.get("dev") for path, entry in packages.items() if path and "integrity" not in entry)


def test_no_package_of_the_pages_runs_something_when_it_is_installed() -> None:
    packages = json.loads((ROOT / "web/package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert [path for path, entry in packages.items() if entry.get("hasInstallScript")] == []
    assert "ignore-scripts=true" in (ROOT / "web/.npmrc").read_text(encoding="utf-8").splitlines()


def test_installs_take_nothing_but_what_is_locked() -> None:
    lines = (ROOT / "Makefile").read_text(encoding="utf-8").splitlines()
    installs = [line for line in lines if "pip install" in line and "--editable" not in line]
    assert len(installs) >= 3
    assert [line for line in installs if "--require-hashes" not in line] == []
    assert [line for line in lines if re.search(r"\bnpm\b.* (install|i|update)\b", line)] == []
    [own] = [line for line in lines if "--editable" in line]
    assert "--no-deps" in own


def test_a_new_lock_takes_no_release_that_nobody_has_looked_at_yet() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^COOL \?= ([7-9]|\d\d) days$", text, re.MULTILINE)
    assert '--exclude-newer "$(COOL)"' in text


@pytest.mark.parametrize("lock", LOCKS[:1] + LOCKS[1:2], ids=lambda lock: lock.name)
def test_no_package_is_older_than_its_last_known_repair(lock: Path) -> None:
    locked = pins(lock)
    old = {
        name: locked[name]
        for name, least in PATCHED.items()
        if name in locked and release(locked[name]) < release(least)
    }
    assert old == {}


def test_most_repairs_are_of_packages_that_are_used() -> None:
    locked = pins(ROOT / "requirements.lock")
    assert len(set(PATCHED) & set(locked)) >= 12, f"of {sorted(set(PATCHED) - set(locked))} nothing is known any more"


def test_releases_are_compared_by_their_numbers() -> None:
    assert release("2.10.1") > release("2.9.9")
    assert release("9.1.2.post2") == (9, 1, 2)


SECRETS = {
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----\n[A-Za-z0-9+/=\n]{100}",
    "a key of a cloud": r"\bAKIA[0-9A-Z]{16}\b",
    "a token of a forge": r"\bgh[pousr]_[A-Za-z0-9]{36}\b",
    "a key of a model's provider": r"\bsk-(?:ant-|proj-)?[A-Za-z0-9_-]{40,}",
    "a key of this platform": r"\bspk_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}\b",
}
KEPT = {".venv", ".venv-peers", ".git", "node_modules", "dist", ".make", ".mypy_cache", ".ruff_cache", ".hypothesis"}


def secrets_in(text: str) -> list[str]:
    return [what for what, pattern in SECRETS.items() if re.search(pattern, text)]


def test_no_file_of_the_repository_holds_a_credential() -> None:
    found: dict[str, list[str]] = {}
    for path in _files(ROOT):
        if path.suffix in {".png", ".woff2", ".gz", ".br", ".ico"}:
            continue
        if named := secrets_in(path.read_text(encoding="utf-8", errors="replace")):
            found[path.relative_to(ROOT).as_posix()] = named
    assert found == {}


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name in KEPT or path.is_symlink():
            continue
        if path.is_dir():
            yield from _files(path)
        else:
            yield path


def test_a_credential_would_be_noticed() -> None:
    assert secrets_in("key = '" + "AK" + "IA" + "A" * 16 + "'") == ["a key of a cloud"]
    assert secrets_in("sk" + "-" + "proj-" + "a1" * 24) == ["a key of a model's provider"]
    assert secrets_in("spk" + "_" + "a" * 12 + "_" + "b" * 49) == ["a key of this platform"]
