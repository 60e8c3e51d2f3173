"""An application behind nginx, in Python: it charges the client's key once more, in the segment that nginx
counts in, and says how much is left.

usage: application.py SEGMENT PORT     LIBRL names the library"""

import ctypes
import os
import sys
from wsgiref.simple_server import make_server


class Decision(ctypes.Structure):
    """librl_decision_t of rl/rl.h."""

    _fields_ = [("size", ctypes.c_uint32), ("allowed", ctypes.c_int32), ("reason", ctypes.c_int32),
                ("policy", ctypes.c_uint32), ("limit", ctypes.c_uint64),
                ("remaining", ctypes.c_uint64), ("times_ns", ctypes.c_int64 * 4),
                ("which", ctypes.c_uint64), ("cost", ctypes.c_uint64), ("charged", ctypes.c_uint64)]


librl = ctypes.CDLL(os.environ["LIBRL"])
segment, api = ctypes.c_void_p(), ctypes.c_void_p()
if librl.librl_open(sys.argv[1].encode(), None, ctypes.byref(segment)) != 0:
    sys.exit("no segment")
if librl.librl_limiter(segment, b"api", None, ctypes.byref(api)) != 0:
    sys.exit("no policy")


def application(request, start_response):
    key = request["HTTP_X_CLIENT"].encode()
    decision = Decision(size=ctypes.sizeof(Decision))
    allowed = librl.librl_acquire(api, key, ctypes.c_size_t(len(key)), ctypes.c_uint64(1),
                                  ctypes.byref(decision))
    start_response("200 OK" if allowed == 1 else "429 Too Many Requests",
                   [("Content-Type", "text/plain")])
    return [b"%d left\n" % decision.remaining]


make_server("127.0.0.1", int(sys.argv[2]), application).serve_forever()
