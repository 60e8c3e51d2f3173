/* Segment: a handle on shared memory. librl.Segment derives from it. */
#include "binding.h"

static const char* const kHow[] = {"open_or_create", "open",    "create",
                                   "read_only",      "private", NULL};
static const char* const kOnFailure[] = {"raise", "allow", "deny", "local", NULL};
static const char* const kClock[] = {"auto", "tsc", "boottime", "manual", NULL};

static int flag_of(PyObject* object, uint32_t flag, uint32_t* flags) {
  const int is_set = PyObject_IsTrue(object);
  if (is_set > 0) *flags |= flag;
  return is_set < 0 ? -1 : 0;
}

/* What the caller may say; an absent one is NULL. */
typedef struct {
  PyObject *keys, *mode, *labels, *policies, *clock, *any_owner, *on_failure, *share, *how;
} Wishes;

static int options_of(const Wishes* wishes, librl_options_t* options) {
  uint64_t mode = 0;
  uint64_t policies = 0;
  uint32_t no_labels = 0;
  if (wishes->keys && number_of(wishes->keys, "keys", 1, UINT64_MAX, &options->keys) < 0) return -1;
  if (wishes->mode && number_of(wishes->mode, "mode", 1, 07777, &mode) < 0) return -1;
  if (wishes->policies && number_of(wishes->policies, "policies", 1, 65535, &policies) < 0) {
    return -1;
  }
  if (wishes->share && number_of(wishes->share, "share", 1, UINT64_MAX, &options->share) < 0) {
    return -1;
  }
  if (wishes->clock && word_of(wishes->clock, "clock", kClock, &options->clock) < 0) return -1;
  if (wishes->how && word_of(wishes->how, "how", kHow, &options->open) < 0) return -1;
  if (wishes->on_failure &&
      word_of(wishes->on_failure, "on_failure", kOnFailure, &options->on_failure) < 0) {
    return -1;
  }
  if (wishes->any_owner && flag_of(wishes->any_owner, LIBRL_ANY_OWNER, &options->flags) < 0) {
    return -1;
  }
  if (wishes->labels) {
    if (flag_of(wishes->labels, LIBRL_NO_LABELS, &no_labels) < 0) return -1;
    if (no_labels == 0) options->flags |= LIBRL_NO_LABELS;
  }
  options->mode = (uint32_t)mode;
  options->policies = (uint32_t)policies;
  return 0;
}

static PyObject* open_segment(PyTypeObject* type, const char* name,
                              const librl_options_t* options) {
  State* state = state_of_type(type);
  if (state == NULL) return NULL;
  SegmentObject* self = (SegmentObject*)type->tp_alloc(type, 0);
  if (self == NULL) return NULL;
  self->state = state;
  self->is_manual = options->clock == LIBRL_CLOCK_MANUAL;
  int code = 0;
  let_lines_wait(1);
  Py_BEGIN_ALLOW_THREADS;
  code = librl_open(name, options, &self->handle);
  Py_END_ALLOW_THREADS;
  let_lines_wait(0);
  if (code == 0) return after_lines((PyObject*)self);
  self->handle = NULL;
  (void)after_lines(raise_last(state, code));
  Py_DECREF(self);
  return NULL;
}

static PyObject* new_segment(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  static char* names[] = {"name",  "keys",     "mode",  "labels",    "owner",
                          "group", "policies", "clock", "any_owner", "on_failure",
                          "share", "how",      NULL};
  PyObject* path = NULL;
  Wishes wishes = {0};
  librl_options_t options = LIBRL_OPTIONS_INIT;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O&|$OOOzzOOOOOO:Segment", names,
                                   PyUnicode_FSConverter, &path, &wishes.keys, &wishes.mode,
                                   &wishes.labels, &options.owner, &options.group, &wishes.policies,
                                   &wishes.clock, &wishes.any_owner, &wishes.on_failure,
                                   &wishes.share, &wishes.how)) {
    return NULL;
  }
  PyObject* made = NULL;
  if (options_of(&wishes, &options) == 0) {
    made = open_segment(type, PyBytes_AS_STRING(path), &options);
  }
  Py_DECREF(path);
  return made;
}

static void dealloc(PyObject* object) {
  SegmentObject* self = (SegmentObject*)object;
  PyTypeObject* type = Py_TYPE(object);
  librl_close(self->handle);
  tell_lines_at_end();
  type->tp_free(object);
  Py_DECREF(type);
}

static PyObject* now_ns(PyObject* self, PyObject* none) {
  (void)none;
  return after_lines(PyLong_FromLongLong(librl_now(((SegmentObject*)self)->handle)));
}

static PyObject* advance_clock(PyObject* object, PyObject* argument) {
  SegmentObject* self = (SegmentObject*)object;
  int64_t by_ns = 0;
  if (seconds_of(argument, "the advance", &by_ns) < 0) return NULL;
  const int code = librl_advance_clock(self->handle, by_ns);
  return after_lines(code < 0 ? raise_last(self->state, code) : Py_NewRef(Py_None));
}

static PyObject* reset_all(PyObject* object, PyObject* none) {
  (void)none;
  SegmentObject* self = (SegmentObject*)object;
  uint64_t forgotten = 0;
  int code = 0;
  let_lines_wait(1);
  Py_BEGIN_ALLOW_THREADS;
  code = librl_reset_all(self->handle, &forgotten);
  Py_END_ALLOW_THREADS;
  let_lines_wait(0);
  return after_lines(code < 0 ? raise_last(self->state, code)
                              : PyLong_FromUnsignedLongLong(forgotten));
}

static PyObject* set_policy(PyObject* object, PyObject* args, PyObject* kwargs) {
  static char* names[] = {"policy", "limits", NULL};
  SegmentObject* self = (SegmentObject*)object;
  const char* policy = NULL;
  const char* limits = NULL;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "ss:set_policy", names, &policy, &limits)) {
    return NULL;
  }
  const int code = librl_set_policy(self->handle, policy, limits);
  return after_lines(code < 0 ? raise_last(self->state, code) : Py_NewRef(Py_None));
}

static PyObject* path(PyObject* self, void* closure) {
  (void)closure;
  return PyUnicode_DecodeFSDefault(librl_path(((SegmentObject*)self)->handle));
}

static PyObject* is_without_segment(PyObject* self, void* closure) {
  (void)closure;
  return after_lines(PyBool_FromLong(librl_is_without_segment(((SegmentObject*)self)->handle)));
}

static PyObject* is_manual(PyObject* self, void* closure) {
  (void)closure;
  return PyBool_FromLong(((SegmentObject*)self)->is_manual);
}

static PyMethodDef methods[] = {
    {"now_ns", now_ns, METH_NOARGS,
     "now_ns($self)\n--\n\nReturns the segment's time, in ns since it was made."},
    {"advance_clock", advance_clock, METH_O,
     "advance_clock($self, seconds, /)\n--\n\nMoves the clock of a segment that was made with "
     "clock='manual'."},
    {"set_policy", (PyCFunction)(void (*)(void))set_policy, METH_VARARGS | METH_KEYWORDS,
     "set_policy($self, policy, limits)\n--\n\nPuts a limit, or a list of some, in force under a "
     "name, in all processes at their next\ncall. Makes the policy if there is none; what keys "
     "have "
     "used stays used. Each change takes\none of the segment's policies for good. For who has been "
     "told to change a limit: a program\nthat starts uses limiter(), which leaves what was changed "
     "by hand."},
    {"reset_all", reset_all, METH_NOARGS,
     "reset_all($self)\n--\n\nForgets what all keys have consumed; returns how many had."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef getters[] = {
    {"path", path, NULL, "Where the segment is.", NULL},
    {"is_without_segment", is_without_segment, NULL,
     "Whether this process goes on without the segment now, as on_failure says.", NULL},
    {"is_manual", is_manual, NULL, "Whether this handle was opened with clock='manual'.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_new, new_segment},
    {Py_tp_dealloc, dealloc},
    {Py_tp_methods, methods},
    {Py_tp_getset, getters},
    {0, NULL},
};

PyType_Spec segment_spec = {"librl._librl.Segment", sizeof(SegmentObject), 0,
                            Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_IMMUTABLETYPE,
                            slots};
