/* Permit: one of so many that may be out at once, or the reason why there is none. */
#include "binding.h"

PyObject* new_permit(State* state, librl_permit_t* handle, DecisionObject* decision) {
  PermitObject* made = PyObject_New(PermitObject, state->permit);
  if (made == NULL) {
    (void)librl_permit_release(handle);
    Py_DECREF(decision);
    return NULL;
  }
  made->state = state;
  made->handle = handle;
  made->decision = decision;
  return (PyObject*)made;
}

static int give_back(PermitObject* self) {
  librl_permit_t* handle = self->handle;
  self->handle = NULL; /* first: a log handler may come back here */
  return librl_permit_release(handle) == 1;
}

static void dealloc(PyObject* object) {
  PermitObject* self = (PermitObject*)object;
  PyTypeObject* type = Py_TYPE(object);
  (void)give_back(self);
  tell_lines_at_end();
  Py_DECREF(self->decision);
  type->tp_free(object);
  Py_DECREF(type);
}

static int is_held(PyObject* self) {
  return ((PermitObject*)self)->handle != NULL;
}

static PyObject* release(PyObject* self, PyObject* none) {
  (void)none;
  return after_lines(PyBool_FromLong(give_back((PermitObject*)self)));
}

static PyObject* renew(PyObject* self, PyObject* none) {
  (void)none;
  librl_permit_t* handle = ((PermitObject*)self)->handle;
  return after_lines(PyBool_FromLong(handle != NULL && librl_permit_renew(handle) == 1));
}

static PyObject* holds(PyObject* self, PyObject* none) {
  (void)none;
  librl_permit_t* handle = ((PermitObject*)self)->handle;
  return after_lines(PyBool_FromLong(handle != NULL && librl_permit_holds(handle) == 1));
}

static PyObject* fence(PyObject* self, PyObject* none) {
  (void)none;
  librl_permit_t* handle = ((PermitObject*)self)->handle;
  return after_lines(PyLong_FromUnsignedLongLong(handle == NULL ? 0 : librl_permit_fence(handle)));
}

static PyObject* enter(PyObject* object, PyObject* none) {
  (void)none;
  PermitObject* self = (PermitObject*)object;
  if (self->handle != NULL) return Py_NewRef(object);
  if (self->decision->told.allowed) {
    PyErr_SetString(PyExc_ValueError, "the permit has been released");
    return NULL;
  }
  PyObject* denied = PyObject_CallOneArg(self->state->denied, (PyObject*)self->decision);
  if (denied != NULL) PyErr_SetObject(self->state->denied, denied);
  Py_XDECREF(denied);
  return NULL;
}

static PyObject* leave(PyObject* self, PyObject* exception) {
  (void)exception;
  (void)give_back((PermitObject*)self);
  return after_lines(Py_NewRef(Py_False));
}

static PyObject* decision(PyObject* self, void* closure) {
  (void)closure;
  return Py_NewRef(((PermitObject*)self)->decision);
}

static PyObject* lease_end_ns(PyObject* self, void* closure) {
  (void)closure;
  librl_permit_t* handle = ((PermitObject*)self)->handle;
  return PyLong_FromLongLong(handle == NULL ? 0 : librl_permit_lease_end(handle));
}

static PyObject* repr(PyObject* object) {
  const PermitObject* self = (const PermitObject*)object;
  const char* word = self->handle == NULL ? self->decision->told.allowed ? "released" : "denied"
                     : librl_permit_holds(self->handle) == 1 ? "held"
                                                             : "lost";
  return PyUnicode_FromFormat("<librl.Permit %s>", word);
}

static PyMethodDef methods[] = {
    {"release", release, METH_NOARGS,
     "release($self)\n--\n\nGives the permit back. Returns whether it was still held."},
    {"renew", renew, METH_NOARGS,
     "renew($self)\n--\n\nBegins a lease from now. Returns False when the permit is lost."},
    {"holds", holds, METH_NOARGS,
     "holds($self)\n--\n\nReturns whether this process still holds the permit."},
    {"fence", fence, METH_NOARGS,
     "fence($self)\n--\n\nReturns a number higher than any that an earlier holder was given, for "
     "storage\nthat refuses lower ones; 0 when the permit is lost."},
    {"__enter__", enter, METH_NOARGS,
     "Returns the permit; raises Denied, with the decision, when there is none."},
    {"__exit__", leave, METH_VARARGS, "Gives the permit back."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef getters[] = {
    {"decision", decision, NULL, "What the call was told.", NULL},
    {"lease_end_ns", lease_end_ns, NULL,
     "When the lease is over, on the segment's clock (Segment.now_ns); 0 when there is none.",
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc,
     "A permit, or the reason why there is none: true while this object has not given one back.\n\n"
     "It is given back at the end of a with block, by release(), or when it is collected. Of a\n"
     "process that dies others have its permits within half a second. In a forked child a permit "
     "of\nthe parent is not held, and nothing there gives it back."},
    {Py_tp_dealloc, dealloc},
    {Py_tp_repr, repr},
    {Py_nb_bool, is_held},
    {Py_tp_methods, methods},
    {Py_tp_getset, getters},
    {0, NULL},
};

PyType_Spec permit_spec = {
    "librl.Permit", sizeof(PermitObject), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE, slots};
