"""Asks the kernel about one TCP connection, so that the harness knows when a proxy has let it go.

A look-up by the four addresses over netlink's sock_diag costs microseconds; /proc/net/tcp would list
every connection in TIME_WAIT each time.
"""

import errno
import socket
import struct

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
NLM_F_REQUEST = 1
NLMSG_ERROR = 2
NO_COOKIE = 0xFFFFFFFF
TIME_WAIT, CLOSED, LISTENING = 6, 7, 10


def holds(local, remote):
    """Whether the socket at `local` (address, port) that is connected with `remote` is still open."""
    request = struct.pack("=BBBxI", socket.AF_INET, socket.IPPROTO_TCP, 0, 0xFFFFFFFF)
    request += struct.pack("!HH", local[1], remote[1]) + address(local) + address(remote)
    request += struct.pack("=III", 0, NO_COOKIE, NO_COOKIE)
    header = struct.pack("=IHHII", 16 + len(request), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as netlink:
        netlink.send(header + request)
        answer = netlink.recv(4096)
    if struct.unpack_from("=H", answer, 4)[0] == NLMSG_ERROR:
        code = -struct.unpack_from("=i", answer, 16)[0]
        if code != errno.ENOENT:
            raise OSError(code, "sock_diag")
        return False
    return answer[17] not in (TIME_WAIT, CLOSED, LISTENING)


def address(end):
    return socket.inet_aton(end[0]) + bytes(12)
