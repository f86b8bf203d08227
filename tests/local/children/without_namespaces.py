"""Run a command as a root that may make no user namespace, as in a container with the usual restrictions."""

import ctypes
import os
import sys
from pathlib import Path

CLONE_NEWUSER = 0x10000000

parent, child = os.pipe(), os.pipe()
pid = os.fork()
if pid == 0:
    if ctypes.CDLL(None).unshare(CLONE_NEWUSER) != 0:
        os._exit(99)
    os.write(parent[1], b".")
    os.read(child[0], 1)
    os.setgid(0)
    os.setuid(0)
    Path("/proc/sys/user/max_user_namespaces").write_text("0")
    os.execv(sys.argv[1], sys.argv[1:])
os.read(parent[0], 1)
for name in ("uid_map", "gid_map"):
    Path(f"/proc/{pid}/{name}").write_text("0 0 65536")
os.write(child[1], b".")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
