/* Decision: the answer to a call. Its values never change; what of it is still owed, for refund()
 * and settle(), does. */
#include "binding.h"

#include <math.h>
#include <stddef.h>
#include <structmember.h>

DecisionObject* new_decision(State* state) {
  DecisionObject* made = PyObject_New(DecisionObject, state->decision);
  if (made == NULL) return NULL;
  made->state = state;
  made->told = (librl_decision_t)LIBRL_DECISION_INIT;
  made->asked = NULL;
  return made;
}

DecisionObject* decision_of(State* state, PyObject* object) {
  if (Py_IS_TYPE(object, state->decision)) return (DecisionObject*)object;
  PyErr_Format(PyExc_TypeError, "the decision must be a librl.Decision, not %.100s",
               Py_TYPE(object)->tp_name);
  return NULL;
}

PyObject* seconds_as_float(int64_t ns) {
  return PyFloat_FromDouble(ns == LIBRL_NEVER_NS ? INFINITY : (double)ns / 1e9);
}

static void dealloc(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  Py_XDECREF(((DecisionObject*)self)->asked);
  type->tp_free(self);
  Py_DECREF(type);
}

static int is_allowed(PyObject* self) {
  return ((DecisionObject*)self)->told.allowed;
}

static PyObject* allowed(PyObject* self, void* closure) {
  (void)closure;
  return PyBool_FromLong(is_allowed(self));
}

PyObject* reason_as_word(const State* state, int32_t reason) {
  const int is_known = reason >= LIBRL_OK && reason <= LIBRL_OFF;
  return is_known ? Py_NewRef(state->reasons[reason]) : PyUnicode_FromString(librl_reason(reason));
}

static PyObject* word_of_decision(const DecisionObject* decision) {
  return reason_as_word(decision->state, decision->told.reason);
}

static PyObject* reason(PyObject* self, void* closure) {
  (void)closure;
  return word_of_decision((DecisionObject*)self);
}

/* The closure is where the nanoseconds are. */
static PyObject* seconds(PyObject* self, void* closure) {
  return seconds_as_float(*(const int64_t*)((const char*)self + (size_t)closure));
}

static PyObject* repr(PyObject* self) {
  const librl_decision_t* told = &((DecisionObject*)self)->told;
  PyObject* word = word_of_decision((DecisionObject*)self);
  if (word == NULL) return NULL;
  char after[64] = "";
  if (!told->allowed && told->retry_after_ns != LIBRL_NEVER_NS) {
    PyOS_snprintf(after, sizeof after, ", retry after %.9g s", (double)told->retry_after_ns / 1e9);
  }
  PyObject* text = PyUnicode_FromFormat(
      "<librl.Decision %s (%U), %llu of %llu left%s>", told->allowed ? "allowed" : "denied", word,
      (unsigned long long)told->remaining, (unsigned long long)told->limit, after);
  Py_DECREF(word);
  return text;
}

/* What is charged stays with the original: a copy in another process could give it back again. */
static PyObject* reduce(PyObject* self, PyObject* none) {
  (void)none;
  const librl_decision_t* told = &((DecisionObject*)self)->told;
  PyObject* module = PyType_GetModule(Py_TYPE(self));
  PyObject* restore = module == NULL ? NULL : PyObject_GetAttrString(module, "_restore_decision");
  if (restore == NULL) return NULL;
  return Py_BuildValue("N(iiIKKLLLLK)", restore, told->allowed, told->reason, told->policy,
                       told->limit, told->remaining, told->retry_after_ns, told->reset_after_ns,
                       told->wait_ns, told->at_ns, told->which);
}

PyObject* restore_decision(PyObject* module, PyObject* args) {
  librl_decision_t told = LIBRL_DECISION_INIT;
  /* "K" is an unsigned long long, "L" a long long: of as many bits, whatever they are called. */
  unsigned long long limit, remaining, which;
  long long retry_after_ns, reset_after_ns, wait_ns, at_ns;
  if (!PyArg_ParseTuple(args, "iiIKKLLLLK:_restore_decision", &told.allowed, &told.reason,
                        &told.policy, &limit, &remaining, &retry_after_ns, &reset_after_ns,
                        &wait_ns, &at_ns, &which)) {
    return NULL;
  }
  DecisionObject* decision = new_decision(PyModule_GetState(module));
  if (decision == NULL) return NULL;
  told.allowed = told.allowed != 0;
  told.limit = limit;
  told.remaining = remaining;
  told.retry_after_ns = retry_after_ns;
  told.reset_after_ns = reset_after_ns;
  told.wait_ns = wait_ns;
  told.at_ns = at_ns;
  told.which = which;
  decision->told = told;
  return (PyObject*)decision;
}

/* A copy here is the decision itself, so that it is spent once. */
static PyObject* copy(PyObject* self, PyObject* ignored) {
  (void)ignored;
  return Py_NewRef(self);
}

static PyMethodDef methods[] = {
    {"__reduce__", reduce, METH_NOARGS, "Returns what pickle makes another of, with no charge."},
    {"__copy__", copy, METH_NOARGS, "Returns itself, as its values never change."},
    {"__deepcopy__", copy, METH_O, "Returns itself, as its values never change."},
    {NULL, NULL, 0, NULL},
};

#define AT(member) offsetof(DecisionObject, told.member)

static PyMemberDef members[] = {
    {"limit", T_ULONGLONG, AT(limit), READONLY, "The most that may pass at once."},
    {"remaining", T_ULONGLONG, AT(remaining), READONLY, "How much of that is left."},
    {"retry_after_ns", T_LONGLONG, AT(retry_after_ns), READONLY,
     "Nanoseconds until the same call can pass; NEVER_NS if it never can."},
    {"reset_after_ns", T_LONGLONG, AT(reset_after_ns), READONLY,
     "Nanoseconds until the key is as good as new."},
    {"wait_ns", T_LONGLONG, AT(wait_ns), READONLY,
     "Nanoseconds that an allowed call has to wait before it goes ahead."},
    {"at_ns", T_LONGLONG, AT(at_ns), READONLY,
     "Of reserve(): the instant to go ahead at, on the segment's clock."},
    {"which", T_ULONGLONG, AT(which), READONLY,
     "Of a list of limits, and of try_acquire_all(): the index of the one that decided."},
    {"policy_id", T_UINT, AT(policy), READONLY, "The id of the policy that decided."},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef getters[] = {
    {"allowed", allowed, NULL, "Whether the call may go ahead; bool(decision) is the same.", NULL},
    {"reason", reason, NULL,
     "Why: 'ok', 'limited', 'never', 'banned', 'override', 'shadow', 'full', 'unavailable' or "
     "'off'.",
     NULL},
    {"retry_after", seconds, NULL,
     "Seconds until the same call can pass, as float; infinity if it never can.",
     (void*)AT(retry_after_ns)},
    {"reset_after", seconds, NULL, "Seconds until the key is as good as new.",
     (void*)AT(reset_after_ns)},
    {"wait", seconds, NULL, "Seconds that an allowed call has to wait before it goes ahead.",
     (void*)AT(wait_ns)},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc,
     "The answer to a call: true if it was allowed.\n\nDurations are float seconds, and exact in "
     "the "
     "attributes that end in _ns.\nA decision cannot be changed; refund() and settle() spend it "
     "once. A pickled one\nsays the same, and has nothing to spend."},
    {Py_tp_dealloc, dealloc},
    {Py_tp_repr, repr},
    {Py_nb_bool, is_allowed},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {Py_tp_getset, getters},
    {0, NULL},
};

PyType_Spec decision_spec = {
    "librl.Decision", sizeof(DecisionObject), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE, slots};
