"""Whose files a server's files are: ours, or those of the user `nobody` when root may not keep them."""

import os
import shutil
from pathlib import Path

from sparkops.local.errors import StartError
from sparkops.local.process import Confinement, nobody


def give(tree: Path, confinement: Confinement, program: Path) -> None:
    """Make a tree belong to the user that the server runs as; nothing to do is the rule, and cheap.

    Only root can change it, and must when the way of confining servers has changed since the tree was made.

    Raises:
        StartError: that user cannot reach the tree or the program.
        OSError: we are not root, and the tree is somebody else's.
    """
    user = nobody() if confinement is Confinement.NOBODY else None
    if user is not None:
        _check_reach(tree, program)
    uid, gid = (user.pw_uid, user.pw_gid) if user is not None else (os.geteuid(), os.getegid())
    if tree.stat().st_uid == uid:
        return
    for directory, _, files in os.walk(tree):
        for path in (Path(directory), *(Path(directory, name) for name in files)):
            shutil.chown(path, uid, gid)


def _check_reach(tree: Path, program: Path) -> None:
    for parent in (*program.parents, *tree.parents):
        if not parent.stat().st_mode & 0o001:
            raise StartError(
                f"PostgreSQL refuses to run as root, and the user nobody cannot reach it through {parent}; start "
                "Spark-Ops as an ordinary user, or put it and --data-dir where everybody may go."
            )
