/* The functions of the module. */
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

static PyObject* address_key(PyObject* module, PyObject* const* args, Py_ssize_t count,
                             PyObject* names) {
  static const char* const wanted[] = {"address", "ipv4_prefix", "ipv6_prefix", NULL};
  (void)module;
  PyObject* taken[3] = {NULL, NULL, NULL};
  Bytes address;
  uint64_t ipv4 = 32;
  uint64_t ipv6 = 64;
  if (take_arguments("address_key", args, count, names, wanted, 1, taken) < 0 ||
      bytes_of(taken[0], "the address", &address) < 0 ||
      (taken[1] != NULL && number_of(taken[1], "ipv4_prefix", 0, 32, &ipv4) < 0) ||
      (taken[2] != NULL && number_of(taken[2], "ipv6_prefix", 0, 128, &ipv6) < 0)) {
    return NULL;
  }
  char key[LIBRL_KEY_MAX];
  const int size = librl_address_key(address.data, (size_t)address.size, (unsigned)ipv4,
                                     (unsigned)ipv6, key, sizeof key);
  if (size > 0) return PyUnicode_FromStringAndSize(key, size);
  PyErr_Format(PyExc_ValueError, "%R is no IP address", taken[0]);
  return NULL;
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
