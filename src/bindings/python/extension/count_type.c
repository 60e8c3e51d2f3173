/* Count: what a key counts. */
#include "binding.h"

#include <structmember.h>

PyObject* new_count(State* state, int is_counted, const librl_count_t* told) {
  CountObject* made = PyObject_New(CountObject, state->count);
  if (made == NULL) return NULL;
  made->state = state;
  made->is_counted = is_counted;
  made->told = *told;
  return (PyObject*)made;
}

static void dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

static PyObject* expires_in(PyObject* self, void* closure) {
  (void)closure;
  return seconds_as_float(((CountObject*)self)->told.expires_in_ns);
}

static PyObject* counted(PyObject* self, void* closure) {
  (void)closure;
  return PyBool_FromLong(((CountObject*)self)->is_counted);
}

static PyObject* reason(PyObject* object, void* closure) {
  (void)closure;
  const CountObject* self = (const CountObject*)object;
  return reason_as_word(self->state, self->told.reason);
}

static PyObject* repr(PyObject* object) {
  const CountObject* self = (const CountObject*)object;
  const librl_count_t* told = &self->told;
  if (!self->is_counted) {
    return PyUnicode_FromFormat("<librl.Count: not counted (%s)>", librl_reason(told->reason));
  }
  char after[64] = "";
  if (told->expires_in_ns != 0) {
    PyOS_snprintf(after, sizeof after, ", expires in %.9g s", (double)told->expires_in_ns / 1e9);
  }
  return PyUnicode_FromFormat("<librl.Count %llu%s>", (unsigned long long)told->count, after);
}

static PyMemberDef members[] = {
    {"count", T_ULONGLONG, offsetof(CountObject, told.count), READONLY,
     "What the key counts, after the call; 0 when it is not counted."},
    {"expires_in_ns", T_LONGLONG, offsetof(CountObject, told.expires_in_ns), READONLY,
     "Nanoseconds until it is 0 again; 0 when it is."},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef getters[] = {
    {"counted", counted, NULL, "Whether it was counted, or looked at.", NULL},
    {"reason", reason, NULL,
     "'ok', or why it was not: 'full', the table has no room for the key; 'unavailable', there is "
     "no "
     "segment; 'off', limits are switched off.",
     NULL},
    {"expires_in", expires_in, NULL, "Seconds until it is 0 again; 0 when it is.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "What Limiter.count() returns."},
    {Py_tp_dealloc, dealloc},
    {Py_tp_repr, repr},
    {Py_tp_members, members},
    {Py_tp_getset, getters},
    {0, NULL},
};

PyType_Spec count_spec = {
    "librl.Count", sizeof(CountObject), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE, slots};
