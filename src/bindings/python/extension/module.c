/* The module librl._librl: its state, and how it comes to life in each interpreter. */
#include "binding.h"

State* state_of_type(PyTypeObject* type) {
  PyObject* module = PyType_GetModuleByDef(type, &librl_module);
  return module == NULL ? NULL : PyModule_GetState(module);
}

static PyTypeObject* add_type(PyObject* module, PyType_Spec* spec) {
  PyTypeObject* type = (PyTypeObject*)PyType_FromModuleAndSpec(module, spec, NULL);
  if (type != NULL && PyModule_AddType(module, type) < 0) Py_CLEAR(type);
  return type;
}

static int take_errors(State* state) {
  PyObject* errors = PyImport_ImportModule("librl._errors");
  if (errors == NULL) return -1;
  state->errors = PyObject_GetAttrString(errors, "BY_CODE");
  state->denied = PyObject_GetAttrString(errors, "Denied");
  Py_DECREF(errors);
  return state->errors == NULL || state->denied == NULL ? -1 : 0;
}

static int make_words(State* state) {
  static const char* const names[] = {"RateLimit-Policy", "RateLimit", "Retry-After"};
  for (int i = 0; i <= LIBRL_OFF; ++i) {
    state->reasons[i] = PyUnicode_InternFromString(librl_reason(i));
    if (state->reasons[i] == NULL) return -1;
  }
  for (int i = 0; i < 3; ++i) {
    state->field_names[i] = PyUnicode_InternFromString(names[i]);
    if (state->field_names[i] == NULL) return -1;
  }
  return 0;
}

static int execute(PyObject* module) {
  State* state = PyModule_GetState(module);
  if (take_errors(state) < 0 || make_words(state) < 0 ||
      (state->segment = add_type(module, &segment_spec)) == NULL ||
      (state->limiter = add_type(module, &limiter_spec)) == NULL ||
      (state->decision = add_type(module, &decision_spec)) == NULL ||
      (state->permit = add_type(module, &permit_spec)) == NULL ||
      (state->count = add_type(module, &count_spec)) == NULL ||
      (state->turn = add_type(module, &turn_spec)) == NULL ||
      PyModule_AddStringConstant(module, "__version__", librl_version()) < 0 ||
      PyModule_AddObject(module, "NEVER_NS", PyLong_FromLongLong(LIBRL_NEVER_NS)) < 0) {
    return -1;
  }
  take_log();
  return 0;
}

static int traverse(PyObject* module, visitproc visit, void* arg) {
  State* state = PyModule_GetState(module);
  Py_VISIT(state->segment);
  Py_VISIT(state->limiter);
  Py_VISIT(state->decision);
  Py_VISIT(state->permit);
  Py_VISIT(state->count);
  Py_VISIT(state->turn);
  Py_VISIT(state->errors);
  Py_VISIT(state->denied);
  return 0;
}

static void free_state(void* module) {
  State* state = PyModule_GetState((PyObject*)module);
  Py_CLEAR(state->segment);
  Py_CLEAR(state->limiter);
  Py_CLEAR(state->decision);
  Py_CLEAR(state->permit);
  Py_CLEAR(state->count);
  Py_CLEAR(state->turn);
  Py_CLEAR(state->errors);
  Py_CLEAR(state->denied);
  for (int i = 0; i <= LIBRL_OFF; ++i) Py_CLEAR(state->reasons[i]);
  for (int i = 0; i < 3; ++i) Py_CLEAR(state->field_names[i]);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, execute}, {0, NULL}};

/* No m_clear: objects that outlive a collection of the module find its state whole. They keep their
 * type alive, and that the module. */
struct PyModuleDef librl_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "librl._librl",
    .m_doc = "What librl is made of; use the package librl.",
    .m_size = sizeof(State),
    .m_methods = librl_functions,
    .m_slots = slots,
    .m_traverse = traverse,
    .m_free = free_state,
};

PyMODINIT_FUNC PyInit__librl(void) {
  return PyModuleDef_Init(&librl_module);
}
