/* What a Limiter can be asked. */
#include "binding.h"

/* --- calls that decide about a key and a cost ------------------------------------------------- */

typedef int (*Decide)(librl_limiter_t*, const void*, size_t, uint64_t, librl_decision_t*);

typedef struct {
  Bytes key;
  uint64_t cost;
} Ask;

static int ask_of(PyObject* key, PyObject* cost, Ask* ask) {
  if (key_of(key, &ask->key) < 0) return -1;
  ask->cost = 1;
  return cost == NULL ? 0 : number_of(cost, "the cost", 1, UINT64_MAX, &ask->cost);
}

/* Ends a call that decided. A charge whose answer an exception keeps from the caller is given back;
 * that of a list, which librl_refund() does not take, is not. */
static PyObject* tell_decision(LimiterObject* self, const char* call, const Bytes* key,
                               DecisionObject* decision, int code) {
  if (code < 0) (void)raise_refused(self->state, code, call);
  if (tell_lines() == 0 && code >= 0) return (PyObject*)decision;
  if (code > 0) (void)librl_refund(self->handle, key->data, (size_t)key->size, &decision->told);
  Py_DECREF(decision);
  return NULL;
}

static PyObject* decide(LimiterObject* self, const char* call, Decide how, const Ask* ask) {
  DecisionObject* decision = new_decision(self->state);
  if (decision == NULL) return NULL;
  const int code =
      how(self->handle, ask->key.data, (size_t)ask->key.size, ask->cost, &decision->told);
  return tell_decision(self, call, &ask->key, decision, code);
}

static const char* const kKeyAndCost[] = {"key", "cost", NULL};

/* A call that takes a key and a cost. */
static PyObject* decide_on(PyObject* self, const char* call, Decide how, int required,
                           PyObject* const* args, Py_ssize_t count, PyObject* names) {
  PyObject* taken[2] = {NULL, NULL};
  Ask ask;
  if (take_arguments(call, args, count, names, kKeyAndCost, required, taken) < 0 ||
      ask_of(taken[0], taken[1], &ask) < 0) {
    return NULL;
  }
  return decide((LimiterObject*)self, call, how, &ask);
}

static PyObject* try_acquire(PyObject* self, PyObject* const* args, Py_ssize_t count,
                             PyObject* names) {
  static const char* const wanted[] = {"key", "cost", "low", NULL};
  PyObject* taken[3] = {NULL, NULL, NULL};
  Ask ask;
  if (count == 1 && names == NULL) {
    taken[0] = args[0];
  } else if (take_arguments("try_acquire", args, count, names, wanted, 1, taken) < 0) {
    return NULL;
  }
  const int is_low = taken[2] == NULL ? 0 : PyObject_IsTrue(taken[2]);
  if (is_low < 0 || ask_of(taken[0], taken[1], &ask) < 0) return NULL;
  return decide((LimiterObject*)self, "try_acquire", is_low ? librl_acquire_low : librl_acquire,
                &ask);
}

static PyObject* try_acquire_at(PyObject* object, PyObject* const* args, Py_ssize_t count,
                                PyObject* names) {
  static const char* const wanted[] = {"now_ns", "key", "cost", NULL};
  LimiterObject* self = (LimiterObject*)object;
  PyObject* taken[3] = {NULL, NULL, NULL};
  uint64_t now_ns = 0;
  Ask ask;
  if (take_arguments("try_acquire_at", args, count, names, wanted, 2, taken) < 0 ||
      number_of(taken[0], "now_ns", 0, INT64_MAX, &now_ns) < 0 ||
      ask_of(taken[1], taken[2], &ask) < 0) {
    return NULL;
  }
  DecisionObject* decision = new_decision(self->state);
  if (decision == NULL) return NULL;
  const int code = librl_acquire_at(self->handle, (int64_t)now_ns, ask.key.data,
                                    (size_t)ask.key.size, ask.cost, &decision->told);
  return tell_decision(self, "try_acquire_at", &ask.key, decision, code);
}

static int peek_at(librl_limiter_t* limiter, const void* key, size_t size, uint64_t cost,
                   librl_decision_t* decision) {
  return librl_peek(limiter, key, size, cost, decision);
}

static PyObject* peek(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  return decide_on(self, "peek", peek_at, 1, args, count, names);
}

static PyObject* charge(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  return decide_on(self, "charge", librl_charge, 2, args, count, names);
}

static PyObject* hold(PyObject* self, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  return decide_on(self, "hold", librl_hold, 2, args, count, names);
}

static PyObject* reserve(PyObject* object, PyObject* const* args, Py_ssize_t count,
                         PyObject* names) {
  static const char* const wanted[] = {"key", "cost", "timeout", NULL};
  LimiterObject* self = (LimiterObject*)object;
  PyObject* taken[3] = {NULL, NULL, Py_None};
  Ask ask;
  int64_t timeout_ns = 0;
  if (take_arguments("reserve", args, count, names, wanted, 1, taken) < 0 ||
      ask_of(taken[0], taken[1], &ask) < 0 ||
      seconds_of(taken[2], "the timeout", &timeout_ns) < 0) {
    return NULL;
  }
  DecisionObject* decision = new_decision(self->state);
  if (decision == NULL) return NULL;
  const int code = librl_reserve(self->handle, ask.key.data, (size_t)ask.key.size, ask.cost,
                                 deadline_of(self, timeout_ns), &decision->told);
  return tell_decision(self, "reserve", &ask.key, decision, code);
}

static PyObject* try_acquire_many(PyObject* object, PyObject* const* args, Py_ssize_t count,
                                  PyObject* names) {
  static const char* const wanted[] = {"keys", "cost", NULL};
  LimiterObject* self = (LimiterObject*)object;
  PyObject* taken[2] = {NULL, NULL};
  uint64_t cost = 1;
  if (take_arguments("try_acquire_many", args, count, names, wanted, 1, taken) < 0) return NULL;
  if (taken[1] != NULL && number_of(taken[1], "the cost", 1, UINT64_MAX, &cost) < 0) return NULL;
  PyObject* sequence = PySequence_Fast(taken[0], "the keys must be a sequence of str or bytes");
  if (sequence == NULL) return NULL;
  const Py_ssize_t size = PySequence_Fast_GET_SIZE(sequence);
  PyObject* result = NULL;
  librl_key_t* keys = PyMem_New(librl_key_t, (size_t)size + 1);
  librl_decision_t* told = PyMem_New(librl_decision_t, (size_t)size + 1);
  uint8_t* allowed = PyMem_New(uint8_t, (size_t)size + 1);
  if (keys == NULL || told == NULL || allowed == NULL) {
    PyErr_NoMemory();
    goto done;
  }
  for (Py_ssize_t i = 0; i < size; ++i) {
    Bytes key;
    if (key_of(PySequence_Fast_GET_ITEM(sequence, i), &key) < 0) goto done;
    keys[i] = (librl_key_t){key.data, (size_t)key.size};
    told[i] = (librl_decision_t)LIBRL_DECISION_INIT;
  }
  if (size != 0) {
    const int64_t passed =
        librl_acquire_many(self->handle, keys, (size_t)size, cost, allowed, told);
    if (passed < 0) (void)raise_refused(self->state, (int)passed, "try_acquire_many");
    if (tell_lines() < 0 || passed < 0) goto done;
  }
  result = PyList_New(size);
  for (Py_ssize_t i = 0; result != NULL && i < size; ++i) {
    DecisionObject* decision = new_decision(self->state);
    if (decision == NULL) {
      Py_CLEAR(result);
    } else {
      decision->told = told[i];
      PyList_SET_ITEM(result, i, (PyObject*)decision);
    }
  }
done:
  PyMem_Free(allowed);
  PyMem_Free(told);
  PyMem_Free(keys);
  Py_DECREF(sequence);
  return result;
}

/* --- calls that give back, and change --------------------------------------------------------- */

/* 1 and 0 as a bool; a code as what it is. */
static PyObject* answer(LimiterObject* self, int code, const char* call) {
  return after_lines(code < 0 ? raise_refused(self->state, code, call) : PyBool_FromLong(code));
}

static PyObject* refund(PyObject* object, PyObject* const* args, Py_ssize_t count,
                        PyObject* names) {
  static const char* const wanted[] = {"key", "decision", NULL};
  LimiterObject* self = (LimiterObject*)object;
  PyObject* taken[2] = {NULL, NULL};
  Bytes key;
  if (take_arguments("refund", args, count, names, wanted, 2, taken) < 0 ||
      key_of(taken[0], &key) < 0) {
    return NULL;
  }
  DecisionObject* decision = decision_of(self->state, taken[1]);
  if (decision == NULL) return NULL;
  librl_decision_t owed = decision->told;
  const int code = librl_refund(self->handle, key.data, (size_t)key.size, &owed);
  decision->told.cost = owed.cost;
  decision->told.charged = owed.charged;
  return answer(self, code, "refund");
}

static PyObject* settle(PyObject* object, PyObject* const* args, Py_ssize_t count,
                        PyObject* names) {
  static const char* const wanted[] = {"key", "held", "actual", NULL};
  LimiterObject* self = (LimiterObject*)object;
  PyObject* taken[3] = {NULL, NULL, NULL};
  Bytes key;
  uint64_t actual = 0;
  if (take_arguments("settle", args, count, names, wanted, 3, taken) < 0 ||
      key_of(taken[0], &key) < 0 ||
      number_of(taken[2], "the actual cost", 0, UINT64_MAX, &actual) < 0) {
    return NULL;
  }
  DecisionObject* held = decision_of(self->state, taken[1]);
  if (held == NULL) return NULL;
  librl_decision_t owed = held->told;
  const int code = librl_settle(self->handle, key.data, (size_t)key.size, &owed, actual);
  held->told.cost = owed.cost;
  held->told.charged = owed.charged;
  return answer(self, code, "settle");
}

static PyObject* set_remaining(PyObject* object, PyObject* const* args, Py_ssize_t count,
                               PyObject* names) {
  static const char* const wanted[] = {"key", "tokens", NULL};
  LimiterObject* self = (LimiterObject*)object;
  PyObject* taken[2] = {NULL, NULL};
  Bytes key;
  uint64_t tokens = 0;
  if (take_arguments("set_remaining", args, count, names, wanted, 2, taken) < 0 ||
      key_of(taken[0], &key) < 0 || number_of(taken[1], "tokens", 0, UINT64_MAX, &tokens) < 0) {
    return NULL;
  }
  return answer(self, librl_set_remaining(self->handle, key.data, (size_t)key.size, tokens),
                "set_remaining");
}

static PyObject* reset(PyObject* object, PyObject* argument) {
  LimiterObject* self = (LimiterObject*)object;
  Bytes key;
  if (key_of(argument, &key) < 0) return NULL;
  return answer(self, librl_reset(self->handle, key.data, (size_t)key.size), "reset");
}

/* --- counters and permits --------------------------------------------------------------------- */

static PyObject* count_up(PyObject* object, PyObject* const* args, Py_ssize_t given,
                          PyObject* names) {
  static const char* const wanted[] = {"key", "amount", "expiry", "elastic", NULL};
  LimiterObject* self = (LimiterObject*)object;
  PyObject* taken[4] = {NULL, NULL, NULL, Py_False};
  Bytes key;
  uint64_t amount = 0;
  int64_t expiry_ns = 0;
  if (take_arguments("count", args, given, names, wanted, 3, taken) < 0 ||
      key_of(taken[0], &key) < 0 || number_of(taken[1], "the amount", 0, UINT64_MAX, &amount) < 0 ||
      seconds_of(taken[2], "the expiry", &expiry_ns) < 0) {
    return NULL;
  }
  const int is_elastic = PyObject_IsTrue(taken[3]);
  if (is_elastic < 0) return NULL;
  librl_count_t told = LIBRL_COUNT_INIT;
  const int code =
      librl_count(self->handle, key.data, (size_t)key.size, amount, expiry_ns, is_elastic, &told);
  return after_lines(code < 0 ? raise_refused(self->state, code, "count")
                              : new_count(self->state, code, &told));
}

static PyObject* permit(PyObject* object, PyObject* argument) {
  LimiterObject* self = (LimiterObject*)object;
  Bytes key;
  if (key_of(argument, &key) < 0) return NULL;
  DecisionObject* decision = new_decision(self->state);
  if (decision == NULL) return NULL;
  librl_permit_t* handle = NULL;
  const int code =
      librl_permit_acquire(self->handle, key.data, (size_t)key.size, &handle, &decision->told);
  if (code >= 0) return after_lines(new_permit(self->state, handle, decision));
  Py_DECREF(decision);
  return after_lines(raise_refused(self->state, code, "permit"));
}

static int permit_peek_at(librl_limiter_t* limiter, const void* key, size_t size, uint64_t cost,
                          librl_decision_t* decision) {
  (void)cost;
  return librl_permit_peek(limiter, key, size, decision);
}

static PyObject* peek_permit(PyObject* self, PyObject* argument) {
  Ask ask;
  if (ask_of(argument, NULL, &ask) < 0) return NULL;
  return decide((LimiterObject*)self, "peek_permit", permit_peek_at, &ask);
}

#define CALL(function) (PyCFunction)(void (*)(void))(function), METH_FASTCALL | METH_KEYWORDS

PyMethodDef limiter_methods[] = {
    {"try_acquire", CALL(try_acquire),
     "try_acquire($self, key, cost=1, low=False)\n--\n\nCharges `cost` to the key if the limit "
     "allows it; a denial changes nothing. A call\nof low priority leaves the limit's floor to the "
     "others."},
    {"try_acquire_at", CALL(try_acquire_at),
     "try_acquire_at($self, now_ns, key, cost=1)\n--\n\nThe same at a time that was read with "
     "Segment.now_ns() before, once for many calls. A time of the\npast is as if the call had come "
     "then; one of the future must not be given. No list takes it."},
    {"try_acquire_many", CALL(try_acquire_many),
     "try_acquire_many($self, keys, cost=1)\n--\n\nDecides many keys in their order, for a "
     "fraction of the cost of so many calls."},
    {"peek", CALL(peek),
     "peek($self, key, cost=1)\n--\n\nSays what try_acquire() would answer, and charges nothing."},
    {"reserve", CALL(reserve),
     "reserve($self, key, cost=1, timeout=None)\n--\n\nReserves an instant not later than "
     "`timeout` seconds from now (None: however late)\nat which the call may go ahead: "
     "Decision.wait says how long that is. refund() cancels it."},
    {"charge", CALL(charge),
     "charge($self, key, cost)\n--\n\nCharges what has already happened, whatever the limit says."},
    {"hold", CALL(hold),
     "hold($self, key, cost)\n--\n\nAcquires an estimate, to be followed by settle()."},
    {"settle", CALL(settle),
     "settle($self, key, held, actual)\n--\n\nMakes of what hold() charged what it really cost. "
     "Returns whether it is settled now."},
    {"refund", CALL(refund),
     "refund($self, key, decision)\n--\n\nGives back what an allowed call charged, once. Returns "
     "whether anything was given back."},
    {"set_remaining", CALL(set_remaining),
     "set_remaining($self, key, tokens)\n--\n\nMakes so many tokens left. Returns whether that is "
     "so."},
    {"reset", reset, METH_O,
     "reset($self, key, /)\n--\n\nForgets what the key has consumed. Returns whether there was "
     "anything."},
    {"count", CALL(count_up),
     "count($self, key, amount, expiry, elastic=False)\n--\n\nAdds to what the key counts under a "
     "limit "
     "'counter', all of which is forgotten `expiry`\nseconds after the first; with `elastic` after "
     "the "
     "last. An amount of 0 only looks. Nothing\nis denied: who counts compares. Count.counted says "
     "whether it was counted."},
    {"permit", permit, METH_O,
     "permit($self, key, /)\n--\n\nTakes a permit of a limit such as 'concurrency 10' if one is "
     "free, without waiting.\nIn a with statement it is given back at the end, and Denied is "
     "raised when there is none."},
    {"peek_permit", peek_permit, METH_O,
     "peek_permit($self, key, /)\n--\n\nSays what permit() would answer, and takes none."},
    {"headers", limiter_headers, METH_O,
     "headers($self, decision, /)\n--\n\nReturns the response fields that say how the client "
     "stands: RateLimit-Policy,\nRateLimit, and Retry-After after a denial. At most once each; "
     "none where there is nothing\nto say. RateLimit is that of the limit that decided: of a list, "
     "the one that has the least\nleft or denies for longest; after try_acquire_all() only the "
     "limiter of that ask has it."},
    {NULL, NULL, 0, NULL},
};
