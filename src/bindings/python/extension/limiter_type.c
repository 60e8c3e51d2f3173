/* Limiter: a policy of a segment, or a list of some, to be asked. librl.Limiter derives from it. */
#include <string.h>

#include "binding.h"

static PyObject* make(PyTypeObject* type, SegmentObject* segment, PyObject* policy,
                      librl_limiter_t* handle) {
  LimiterObject* self = (LimiterObject*)type->tp_alloc(type, 0);
  if (self == NULL) {
    librl_limiter_free(handle);
    return NULL;
  }
  self->state = segment->state;
  self->handle = handle;
  self->segment = (SegmentObject*)Py_NewRef(segment);
  self->policy = Py_NewRef(policy);
  return (PyObject*)self;
}

static void free_each(librl_limiter_t** each, size_t count) {
  for (size_t i = 0; each != NULL && i < count; ++i) librl_limiter_free(each[i]);
  PyMem_Free(each);
}

static PyObject* new_limiter(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  static char* names[] = {"segment", "policy", "limits", NULL};
  State* state = state_of_type(type);
  if (state == NULL) return NULL;
  SegmentObject* segment = NULL;
  PyObject* policy = NULL;
  const char* limits = NULL;
  if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!U|z:Limiter", names, state->segment, &segment,
                                   &policy, &limits)) {
    return NULL;
  }
  Py_ssize_t size = 0;
  const char* name = PyUnicode_AsUTF8AndSize(policy, &size);
  if (name == NULL) return NULL;
  if (strlen(name) != (size_t)size) {
    PyErr_SetString(PyExc_ValueError, "the policy's name has a zero byte in it");
    return NULL;
  }
  librl_limiter_t* handle = NULL;
  const int code = librl_limiter(segment->handle, name, limits, &handle);
  return after_lines(code < 0 ? raise_last(state, code) : make(type, segment, policy, handle));
}

int take_apart(LimiterObject* self) {
  const size_t count = librl_limiter_count(self->handle);
  if (self->each != NULL) return 0;
  librl_limiter_t** each = PyMem_Calloc(count, sizeof(librl_limiter_t*));
  if (each == NULL) {
    PyErr_NoMemory();
    return -1;
  }
  for (size_t i = 0; i < count; ++i) {
    const int code = librl_limiter_at(self->handle, i, &each[i]);
    if (code == 0) continue;
    (void)raise_last(self->state, code);
    free_each(each, i);
    return -1;
  }
  self->each = each;
  return 0;
}

int64_t deadline_of(const LimiterObject* self, int64_t timeout_ns) {
  const int64_t now = librl_now(self->segment->handle);
  return timeout_ns > INT64_MAX - now ? INT64_MAX : now + timeout_ns;
}

static void dealloc(PyObject* object) {
  LimiterObject* self = (LimiterObject*)object;
  PyTypeObject* type = Py_TYPE(object);
  free_each(self->each, librl_limiter_count(self->handle));
  librl_limiter_free(self->handle);
  tell_lines_at_end();
  Py_DECREF(self->segment);
  Py_DECREF(self->policy);
  type->tp_free(object);
  Py_DECREF(type);
}

/* --- what it is ------------------------------------------------------------------------------- */

static PyObject* policy(PyObject* self, void* closure) {
  (void)closure;
  return Py_NewRef(((LimiterObject*)self)->policy);
}

static PyObject* segment(PyObject* self, void* closure) {
  (void)closure;
  return Py_NewRef(((LimiterObject*)self)->segment);
}

static PyObject* limits_of(LimiterObject* self) {
  char text[512];
  const int size = librl_limit_text(self->handle, text, sizeof text);
  if (size < 0) return raise_last(self->state, size);
  if ((size_t)size < sizeof text) return PyUnicode_FromStringAndSize(text, size);
  char* all = PyMem_Malloc((size_t)size + 1);
  if (all == NULL) return PyErr_NoMemory();
  const int again = librl_limit_text(self->handle, all, (size_t)size + 1);
  /* It may have become longer since: then it is cut. */
  PyObject* made = again < 0 ? raise_last(self->state, again)
                             : PyUnicode_FromStringAndSize(all, again < size ? again : size);
  PyMem_Free(all);
  return made;
}

static PyObject* limits(PyObject* self, void* closure) {
  (void)closure;
  return after_lines(limits_of((LimiterObject*)self));
}

static PyObject* differs(PyObject* self, void* closure) {
  (void)closure;
  return after_lines(PyBool_FromLong(librl_differs(((LimiterObject*)self)->handle) == 1));
}

static Py_ssize_t length(PyObject* self) {
  return (Py_ssize_t)librl_limiter_count(((LimiterObject*)self)->handle);
}

static PyObject* item(PyObject* object, Py_ssize_t index) {
  LimiterObject* self = (LimiterObject*)object;
  if (index < 0 || index >= length(object)) {
    PyErr_SetString(PyExc_IndexError, "the list has no such limit");
    return NULL;
  }
  librl_limiter_t* one = NULL;
  const int code = librl_limiter_at(self->handle, (size_t)index, &one);
  if (code < 0) return raise_last(self->state, code);
  PyObject* name = index == 0 ? Py_NewRef(self->policy)
                              : PyUnicode_FromFormat("%U#%zd", self->policy, index + 1);
  if (name == NULL) {
    librl_limiter_free(one);
    return NULL;
  }
  PyObject* made = make(Py_TYPE(object), self->segment, name, one);
  Py_DECREF(name);
  return made;
}

static int is_limiter(PyObject* self) {
  (void)self;
  return 1; /* also one of a list that has lost its limits */
}

static PyObject* repr(PyObject* self) {
  PyObject* text = limits(self, NULL);
  if (text == NULL) return NULL;
  PyObject* made =
      PyUnicode_FromFormat("<librl.Limiter %R: %U>", ((LimiterObject*)self)->policy, text);
  Py_DECREF(text);
  return made;
}

static PyGetSetDef getters[] = {
    {"policy", policy, NULL, "The name of the policy.", NULL},
    {"segment", segment, NULL, "The segment that it is of.", NULL},
    {"limits", limits, NULL, "The limit in force, as text.", NULL},
    {"differs", differs, NULL,
     "Whether the limit in force is not the one asked for: the segment's stands.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_new, new_limiter}, {Py_tp_dealloc, dealloc},         {Py_tp_repr, repr},
    {Py_nb_bool, is_limiter}, {Py_sq_length, length},           {Py_sq_item, item},
    {Py_tp_getset, getters},  {Py_tp_methods, limiter_methods}, {0, NULL},
};

PyType_Spec limiter_spec = {"librl._librl.Limiter", sizeof(LimiterObject), 0,
                            Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_IMMUTABLETYPE,
                            slots};
