/* Errors: each code of the library has a class, which _errors.py lists. */
#include "binding.h"

PyObject* raise_code(State* state, int code, const char* sentence) {
  if (code == LIBRL_ENOMEM) return PyErr_NoMemory();
  PyObject* number = PyLong_FromLong(code);
  if (number == NULL) return NULL;
  PyObject* type = PyDict_GetItemWithError(state->errors, number);
  if (type == NULL && PyErr_Occurred() == NULL) {
    /* A newer library may have a code that this module does not know. */
    PyObject* unexpected = PyLong_FromLong(LIBRL_EUNEXPECTED);
    if (unexpected != NULL) type = PyDict_GetItemWithError(state->errors, unexpected);
    Py_XDECREF(unexpected);
  }
  if (type != NULL) PyErr_SetString(type, sentence);
  Py_DECREF(number);
  return NULL;
}

PyObject* raise_last(State* state, int code) {
  const char* sentence = librl_last_error();
  return raise_code(state, code, sentence[0] != 0 ? sentence : librl_strerror(code));
}

PyObject* raise_refused(State* state, int code, const char* call) {
  char sentence[256];
  if (code != LIBRL_EINVALID) return raise_code(state, code, librl_strerror(code));
  PyOS_snprintf(
      sentence, sizeof sentence,
      "%s(): the limit takes no such call (permits are had from permit(), single limits of "
      "a list by their index), or the segment is open for reading only",
      call);
  return raise_code(state, code, sentence);
}
