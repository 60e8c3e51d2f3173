/* The functions of the module. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "binding.h"

static PyObject* remove_segment(PyObject* module, PyObject* argument) {
  PyObject* path = NULL;
  if (!PyUnicode_FSConverter(argument, &path)) return NULL;
  const int code = librl_remove(PyBytes_AS_STRING(path));
  Py_DECREF(path);
  return after_lines(code < 0 ? raise_last(PyModule_GetState(module), code)
                              : PyBool_FromLong(code));
}

static PyObject* check_limits(PyObject* module, PyObject* argument) {
  const char* limits = NULL;
  if (!PyArg_Parse(argument, "s:check_limits", &limits)) return NULL;
  const int code = librl_check_limits(limits);
  if (code < 0) return raise_last(PyModule_GetState(module), code);
  Py_RETURN_NONE;
}

typedef struct {
  PyObject* address;
  uint64_t ipv4_prefix;
  uint64_t ipv6_prefix;
} AddressAsk;

static int take_address(const char* call, PyObject* const* args, Py_ssize_t count, PyObject* names,
                        AddressAsk* ask) {
  static const char* const wanted[] = {"address", "ipv4_prefix", "ipv6_prefix", NULL};
  PyObject* taken[3] = {NULL, NULL, NULL};
  *ask = (AddressAsk){NULL, 32, 64};
  if (take_arguments(call, args, count, names, wanted, 1, taken) < 0 ||
      (taken[1] != NULL && number_of(taken[1], "ipv4_prefix", 0, 32, &ask->ipv4_prefix) < 0) ||
      (taken[2] != NULL && number_of(taken[2], "ipv6_prefix", 0, 128, &ask->ipv6_prefix) < 0)) {
    return -1;
  }
  ask->address = taken[0];
  return 0;
}

/* A key of so many bytes; a code is of what is no address. */
static PyObject* key_of_address(const AddressAsk* ask, const char* key, int size) {
  if (size > 0) return PyUnicode_FromStringAndSize(key, size);
  PyErr_Format(PyExc_ValueError, "%R is no IP address", ask->address);
  return NULL;
}

static PyObject* address_key(PyObject* module, PyObject* const* args, Py_ssize_t count,
                             PyObject* names) {
  (void)module;
  AddressAsk ask;
  Bytes address;
  if (take_address("address_key", args, count, names, &ask) < 0 ||
      bytes_of(ask.address, "the address", &address) < 0) {
    return NULL;
  }
  char key[LIBRL_KEY_MAX];
  const int size = librl_address_key(address.data, (size_t)address.size, (unsigned)ask.ipv4_prefix,
                                     (unsigned)ask.ipv6_prefix, key, sizeof key);
  return key_of_address(&ask, key, size);
}

typedef union {
  struct sockaddr any;
  struct sockaddr_in ipv4;
  struct sockaddr_in6 ipv6;
} SocketAddress;

/* Reads (host, port) or (host, port, flow, scope), as a socket says it; of another family, or where
 * it is none, it leaves AF_UNSPEC. The scope counts neither as a number nor behind a "%". Returns 0,
 * or -1 with an exception. */
static int read_tuple(PyObject* tuple, SocketAddress* address) {
  const Py_ssize_t parts = PyTuple_GET_SIZE(tuple);
  PyObject* object = parts == 2 || parts == 4 ? PyTuple_GET_ITEM(tuple, 0) : NULL;
  if (object == NULL || !PyUnicode_Check(object)) return 0;
  Py_ssize_t size = 0;
  const char* text = PyUnicode_AsUTF8AndSize(object, &size);
  if (text == NULL) return -1;
  char host[INET6_ADDRSTRLEN];
  const size_t bytes = strcspn(text, parts == 4 ? "%" : "");
  if (strlen(text) != (size_t)size || bytes >= sizeof host) return 0;
  memcpy(host, text, bytes);
  host[bytes] = 0;
  if (parts == 2 && inet_pton(AF_INET, host, &address->ipv4.sin_addr) == 1) {
    address->ipv4.sin_family = AF_INET;
  } else if (parts == 4 && inet_pton(AF_INET6, host, &address->ipv6.sin6_addr) == 1) {
    address->ipv6.sin6_family = AF_INET6;
  }
  return 0;
}

static PyObject* sockaddr_key(PyObject* module, PyObject* const* args, Py_ssize_t count,
                              PyObject* names) {
  (void)module;
  AddressAsk ask;
  SocketAddress told = {.any = {.sa_family = AF_UNSPEC}};
  Bytes address = {(const char*)&told, sizeof told};
  if (take_address("sockaddr_key", args, count, names, &ask) < 0) return NULL;
  if (PyTuple_Check(ask.address)) {
    if (read_tuple(ask.address, &told) < 0) return NULL;
  } else if (PyBytes_Check(ask.address)) {
    address = (Bytes){PyBytes_AS_STRING(ask.address), PyBytes_GET_SIZE(ask.address)};
  } else {
    PyErr_Format(
        PyExc_TypeError,
        "the address must be a tuple, as a socket says it, or the bytes of a sockaddr, not "
        "%.100s",
        Py_TYPE(ask.address)->tp_name);
    return NULL;
  }
  char key[LIBRL_KEY_MAX];
  const int size =
      librl_sockaddr_key((const struct sockaddr*)address.data, (size_t)address.size,
                         (unsigned)ask.ipv4_prefix, (unsigned)ask.ipv6_prefix, key, sizeof key);
  return key_of_address(&ask, key, size);
}

static PyObject* composite_key(PyObject* module, PyObject* const* args, Py_ssize_t count) {
  (void)module;
  librl_key_t parts[LIBRL_KEY_MAX];
  if (count == 0 || count > LIBRL_KEY_MAX) {
    PyErr_Format(PyExc_ValueError, "a key has from 1 to %d parts, not %zd", LIBRL_KEY_MAX, count);
    return NULL;
  }
  for (Py_ssize_t i = 0; i < count; ++i) {
    Bytes part;
    if (bytes_of(args[i], "a part of the key", &part) < 0) return NULL;
    parts[i] = (librl_key_t){part.data, (size_t)part.size};
  }
  char key[LIBRL_KEY_MAX];
  const int size = librl_composite_key(parts, (size_t)count, key, sizeof key);
  if (size > 0) return PyBytes_FromStringAndSize(key, size);
  PyErr_Format(PyExc_ValueError, "the parts make more than %d bytes", LIBRL_KEY_MAX);
  return NULL;
}

/* One (limiter, key) or (limiter, key, cost). */
static int ask_of(State* state, PyObject* tuple, librl_ask_t* ask) {
  PyObject* cost = NULL;
  PyObject* key = NULL;
  LimiterObject* limiter = NULL;
  Bytes bytes;
  if (!PyTuple_Check(tuple)) {
    PyErr_Format(PyExc_TypeError, "an ask must be a tuple (limiter, key, cost), not %.100s",
                 Py_TYPE(tuple)->tp_name);
    return -1;
  }
  if (!PyArg_ParseTuple(tuple, "O!O|O", state->limiter, &limiter, &key, &cost)) return -1;
  ask->cost = 1;
  if (key_of(key, &bytes) < 0 ||
      (cost != NULL && number_of(cost, "the cost", 1, UINT64_MAX, &ask->cost) < 0)) {
    return -1;
  }
  ask->limiter = limiter->handle;
  ask->key = bytes.data;
  ask->key_size = (size_t)bytes.size;
  return 0;
}

static PyObject* try_acquire_all(PyObject* module, PyObject* const* args, Py_ssize_t count) {
  State* state = PyModule_GetState(module);
  librl_ask_t asks[LIBRL_ASKS_MAX];
  if (count == 0 || count > LIBRL_ASKS_MAX) {
    PyErr_Format(PyExc_ValueError, "from 1 to %d limits are asked together, not %zd",
                 LIBRL_ASKS_MAX, count);
    return NULL;
  }
  for (Py_ssize_t i = 0; i < count; ++i) {
    if (ask_of(state, args[i], &asks[i]) < 0) return NULL;
  }
  DecisionObject* decision = new_decision(state);
  if (decision == NULL) return NULL;
  librl_decision_t each[LIBRL_ASKS_MAX];
  each[0].size = sizeof each[0];
  const int code = librl_acquire_all(asks, (size_t)count, &decision->told, each);
  if (code >= 0) {
    const uint64_t which = decision->told.which;
    decision->asked = (LimiterObject*)Py_NewRef(PyTuple_GET_ITEM(args[which], 0));
    decision->listed = each[which].which;
    return after_lines((PyObject*)decision);
  }
  Py_DECREF(decision);
  return after_lines(raise_refused(state, code, "try_acquire_all"));
}

#define CALL(function, flags) (PyCFunction)(void (*)(void))(function), flags

PyMethodDef librl_functions[] = {
    {"remove", remove_segment, METH_O,
     "remove($module, name, /)\n--\n\nRemoves the name of a segment. Returns whether there was "
     "one."},
    {"check_limits", check_limits, METH_O,
     "check_limits($module, limits, /)\n--\n\nRaises BadLimitError, which says where, if a limit "
     "does not parse."},
    {"address_key", CALL(address_key, METH_FASTCALL | METH_KEYWORDS),
     "address_key($module, address, ipv4_prefix=32, ipv6_prefix=64)\n--\n\nReturns the key of an "
     "IP address in text, or of the network that it lies in: all spellings\nof one give the same. "
     "Raises ValueError for anything else."},
    {"sockaddr_key", CALL(sockaddr_key, METH_FASTCALL | METH_KEYWORDS),
     "sockaddr_key($module, address, ipv4_prefix=32, ipv6_prefix=64)\n--\n\nThe same of an address "
     "as accept() and getpeername() of a socket return it, or of the bytes\nof a sockaddr. Port, "
     "flow and scope do not count. Raises ValueError for another family."},
    {"composite_key", CALL(composite_key, METH_FASTCALL),
     "composite_key($module, *parts)\n--\n\nReturns the key of several parts, such as user and "
     "route. Different parts never give\nthe same key."},
    {"try_acquire_all", CALL(try_acquire_all, METH_FASTCALL),
     "try_acquire_all($module, *asks)\n--\n\nCharges all or none of up to 16 limits. An ask is "
     "(limiter, key) or (limiter, key, cost);\nDecision.which is the index of the one that "
     "decided, whose headers() has the RateLimit."},
    {"_restore_decision", restore_decision, METH_VARARGS, "What unpickles a Decision."},
    {NULL, NULL, 0, NULL},
};
