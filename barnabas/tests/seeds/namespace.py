"""Give a test its own network, so that programs with fixed ports can run side by side.

Theory: `hold` moves into a new user and network namespace, brings its loopback up and stays until its standard input
ends. `enter` joins the namespace of a holder and becomes the given command: the process id stays, so signals reach it.
Only the standard library and system calls are used (`unshare(2)`, `setns(2)`, `netdevice(7)`); no privilege is needed
where the kernel allows unprivileged user namespaces. Linux only.

    python namespace.py hold
    python namespace.py enter HOLDER_PID COMMAND [ARGUMENT ...]
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
import sys

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
SIOCGIFFLAGS = 0x8913
SIOCSIFFLAGS = 0x8914
IFF_UP = 0x1
READY = "ready"


def call(name: str, *arguments: int) -> None:
    """Call a function of the C library; raise OSError with its errno where it fails."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def loopback_up() -> None:
    """Set the flag IFF_UP of the interface `lo` in the namespace of this process."""
    import fcntl  # Here, so that the tests can be collected where there is no such module.

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh22x", b"lo", 0)
        _, flags = struct.unpack("16sh22x", fcntl.ioctl(control, SIOCGIFFLAGS, request))
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", flags | IFF_UP))


def hold() -> None:
    """Make the namespace, say `ready`, and stay until standard input ends."""
    user, group = os.getuid(), os.getgid()
    call("unshare", CLONE_NEWUSER | CLONE_NEWNET)
    # An unprivileged process may write gid_map only once setgroups is denied (user_namespaces(7)).
    for file, line in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with open(f"/proc/self/{file}", "w", encoding="ascii") as target:
            target.write(line)
    loopback_up()
    print(READY, flush=True)
    sys.stdin.read()


def enter(holder: int, command: list[str]) -> None:
    """Join the namespaces of `holder` and become `command`. Raise OSError where either is refused."""
    descriptors = [os.open(f"/proc/{holder}/ns/{kind}", os.O_RDONLY) for kind in ("user", "net")]
    for descriptor, kind in zip(descriptors, (CLONE_NEWUSER, CLONE_NEWNET), strict=True):
        # The user namespace comes first: it grants the right to join the other.
        call("setns", descriptor, kind)
        os.close(descriptor)
    os.execvp(command[0], command)


def main(arguments: list[str]) -> None:
    """Run `hold` or `enter`; see the module's first lines."""
    if arguments[:1] == ["hold"]:
        hold()
    elif arguments[:1] == ["enter"] and len(arguments) > 2:
        enter(int(arguments[1]), arguments[2:])
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
