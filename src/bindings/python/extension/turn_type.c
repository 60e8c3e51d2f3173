/* Turn: a call that can be taken back until its turn has come, for whoever waits (librl._waiting, the
 * middlewares). It is there before anything is charged, and has what the library answered before
 * Python runs on: so an exception that comes between any two steps, as those of signals and of
 * cancelled tasks do, loses nothing. */
#include "binding.h"

#include <structmember.h>
#include <unistd.h>

typedef struct {
  PyObject ob_base;
  State* state;
  LimiterObject* limiter;
  PyObject* key;
  Bytes bytes; /* of the key */
  uint64_t cost;
  DecisionObject* decision; /* the last; NULL before the first */
  librl_decision_t* each;   /* of a list of limits, what each was told; of one limit NULL */
  int is_kept;
  pid_t asker; /* who asked: in a forked child its turn is not the child's to give back */
} TurnObject;

static PyObject* new_turn(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  static char* names[] = {"limiter", "key", "cost", NULL};
  State* state = state_of_type(type);
  if (state == NULL) return NULL;
  PyObject* limiter = NULL;
  PyObject* key = NULL;
  PyObject* cost = NULL;
  Bytes bytes;
  uint64_t number = 1;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!O|O:Turn", names, state->limiter, &limiter,
                                   &key, &cost) ||
      key_of(key, &bytes) < 0 ||
      (cost != NULL && number_of(cost, "the cost", 1, UINT64_MAX, &number) < 0)) {
    return NULL;
  }
  TurnObject* self = (TurnObject*)type->tp_alloc(type, 0);
  if (self == NULL) return NULL;
  self->state = state;
  self->limiter = (LimiterObject*)Py_NewRef(limiter);
  self->key = Py_NewRef(key);
  self->bytes = bytes;
  self->cost = number;
  return (PyObject*)self;
}

/* --- taking it, and giving it back ------------------------------------------------------------- */

static int refund(const TurnObject* self, librl_limiter_t* limiter, librl_decision_t* told) {
  return librl_refund(limiter, self->bytes.data, (size_t)self->bytes.size, told) == 1;
}

/* Returns whether anything was given back. */
static int give_back(TurnObject* self) {
  if (self->decision == NULL || self->asker != getpid()) return 0;
  librl_decision_t* told = &self->decision->told;
  if (self->each == NULL) return refund(self, self->limiter->handle, told);
  int was_any = 0;
  const size_t count = librl_limiter_count(self->limiter->handle);
  for (size_t i = 0; i < count; ++i)
    was_any |= refund(self, self->limiter->each[i], &self->each[i]);
  told->charged = 0;
  return was_any;
}

static int ask_list(TurnObject* self, librl_decision_t* told) {
  librl_ask_t asks[LIBRL_ASKS_MAX];
  const size_t count = librl_limiter_count(self->limiter->handle);
  for (size_t i = 0; i < count; ++i) {
    asks[i] = (librl_ask_t){self->limiter->each[i], self->bytes.data, (size_t)self->bytes.size,
                            self->cost};
  }
  self->each[0].size = sizeof self->each[0];
  return librl_acquire_all(asks, count, told, self->each);
}

/* A list has no line: it is asked as ever, and a turn that comes too late is given back. */
static int reserve_list(TurnObject* self, int64_t timeout_ns, librl_decision_t* told) {
  const int code = ask_list(self, told);
  if (code <= 0) return code;
  const int64_t now = librl_now(self->limiter->segment->handle);
  told->at_ns = told->wait_ns > INT64_MAX - now ? INT64_MAX : now + told->wait_ns;
  if (told->wait_ns <= timeout_ns) return code;
  (void)give_back(self);
  told->allowed = 0;
  told->reason = LIBRL_LIMITED;
  told->retry_after_ns = told->wait_ns;
  told->wait_ns = 0;
  return 0;
}

/* Makes room for the answer, which takes the place of the one before. */
static librl_decision_t* begin(TurnObject* self) {
  (void)give_back(self);
  LimiterObject* limiter = self->limiter;
  if (self->each == NULL && librl_limiter_count(limiter->handle) > 1) {
    if (take_apart(limiter) < 0) return NULL;
    self->each = PyMem_Calloc(LIBRL_ASKS_MAX, sizeof *self->each);
    if (self->each == NULL) return (librl_decision_t*)PyErr_NoMemory();
  }
  DecisionObject* decision = new_decision(self->state);
  if (decision == NULL) return NULL;
  Py_XSETREF(self->decision, decision);
  self->asker = getpid();
  return &decision->told;
}

static PyObject* end(TurnObject* self, const char* call, int code) {
  if (code < 0) (void)raise_refused(self->state, code, call);
  if (tell_lines() == 0 && code >= 0) return Py_NewRef((PyObject*)self->decision);
  (void)give_back(self);
  return NULL;
}

static PyObject* try_acquire(PyObject* object, PyObject* none) {
  (void)none;
  TurnObject* self = (TurnObject*)object;
  librl_decision_t* told = begin(self);
  if (told == NULL) return NULL;
  const int code = self->each != NULL ? ask_list(self, told)
                                      : librl_acquire(self->limiter->handle, self->bytes.data,
                                                      (size_t)self->bytes.size, self->cost, told);
  return end(self, "try_acquire", code);
}

static PyObject* reserve(PyObject* object, PyObject* timeout) {
  TurnObject* self = (TurnObject*)object;
  int64_t timeout_ns = 0;
  if (seconds_of(timeout, "the timeout", &timeout_ns) < 0) return NULL;
  librl_decision_t* told = begin(self);
  if (told == NULL) return NULL;
  const int code = self->each != NULL ? reserve_list(self, timeout_ns, told)
                                      : librl_reserve(self->limiter->handle, self->bytes.data,
                                                      (size_t)self->bytes.size, self->cost,
                                                      deadline_of(self->limiter, timeout_ns), told);
  return end(self, "reserve", code);
}

static PyObject* give_back_now(PyObject* self, PyObject* none) {
  (void)none;
  return after_lines(PyBool_FromLong(give_back((TurnObject*)self)));
}

static PyObject* enter(PyObject* self, PyObject* none) {
  (void)none;
  return Py_NewRef(self);
}

static PyObject* leave(PyObject* object, PyObject* exception) {
  TurnObject* self = (TurnObject*)object;
  if (PyTuple_GET_SIZE(exception) != 0 && PyTuple_GET_ITEM(exception, 0) != Py_None) {
    (void)give_back(self);
    return after_lines(Py_NewRef(Py_False));
  }
  if (tell_lines() < 0) { /* Ctrl-C in a handler: who asked never learns that he may go */
    (void)give_back(self);
    return NULL;
  }
  self->is_kept = 1;
  return Py_NewRef(Py_False);
}

static void dealloc(PyObject* object) {
  TurnObject* self = (TurnObject*)object;
  PyTypeObject* type = Py_TYPE(object);
  if (!self->is_kept) (void)give_back(self);
  tell_lines_at_end();
  PyMem_Free(self->each);
  Py_XDECREF(self->decision);
  Py_DECREF(self->key);
  Py_DECREF(self->limiter);
  type->tp_free(object);
  Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"try_acquire", try_acquire, METH_NOARGS,
     "try_acquire($self)\n--\n\nAsks as Limiter.try_acquire() does."},
    {"reserve", reserve, METH_O,
     "reserve($self, timeout, /)\n--\n\nAsks as Limiter.reserve() does; also a list of limits, of "
     "which all must allow\nand Decision.wait is the longest."},
    {"give_back", give_back_now, METH_NOARGS,
     "give_back($self)\n--\n\nRefunds what was charged, also that of a list of limits. Returns "
     "whether anything was."},
    {"__enter__", enter, METH_NOARGS, "Returns the turn."},
    {"__exit__", leave, METH_VARARGS, "Gives the turn back if the block was left by an exception."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef members[] = {
    {"limiter", T_OBJECT_EX, offsetof(TurnObject, limiter), READONLY, "What it is a turn of."},
    {"decision", T_OBJECT_EX, offsetof(TurnObject, decision), READONLY, "The last answer."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc,
     "A call for a key that is given back unless its with block is left without an exception."},
    {Py_tp_new, new_turn},
    {Py_tp_dealloc, dealloc},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {0, NULL},
};

PyType_Spec turn_spec = {"librl._librl.Turn", sizeof(TurnObject), 0,
                         Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, slots};
