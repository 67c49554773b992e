"""On the PYTHONPATH of an audited process: notes where it connects, what it looks up, what it starts.

Python itself reports these events (https://docs.python.org/3/library/audit_events.html), whatever
library causes them. Each becomes a line in the file that AUDIT_FILE names: the event, a tab, a repr.
"""

from __future__ import annotations

import os
import sys
from typing import Any

_PLACES = {
    "socket.connect": slice(1, 2),
    "socket.sendto": slice(1, 2),
    "socket.sendmsg": slice(1, 2),
    "socket.getaddrinfo": slice(0, 1),
    "socket.gethostbyname": slice(0, 1),
    "subprocess.Popen": slice(0, 1),
    "os.posix_spawn": slice(0, 1),
    "os.system": slice(0, 1),
}

_file = os.open(os.environ["AUDIT_FILE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _PLACES:
        (place,) = arguments[_PLACES[event]]
        os.write(_file, f"{event}\t{place!r}\n".encode())


sys.addaudithook(_note)
