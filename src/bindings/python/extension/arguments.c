/* Arguments: what Python gives, as the library takes it. */
#include <math.h>

#include "binding.h"

int bytes_of(PyObject* object, const char* what, Bytes* bytes) {
  if (PyUnicode_Check(object)) {
    bytes->data = PyUnicode_AsUTF8AndSize(object, &bytes->size);
    return bytes->data == NULL ? -1 : 0;
  }
  if (PyBytes_Check(object)) {
    bytes->data = PyBytes_AS_STRING(object);
    bytes->size = PyBytes_GET_SIZE(object);
    return 0;
  }
  PyErr_Format(PyExc_TypeError, "%s must be str or bytes, not %.100s", what,
               Py_TYPE(object)->tp_name);
  return -1;
}

int key_of(PyObject* object, Bytes* key) {
  if (bytes_of(object, "the key", key) < 0) return -1;
  if (key->size != 0) return 0;
  PyErr_SetString(PyExc_ValueError, "the key is empty");
  return -1;
}

int number_of(PyObject* object, const char* what, uint64_t least, uint64_t most, uint64_t* number) {
  PyObject* whole = PyNumber_Index(object);
  if (whole == NULL) {
    if (PyErr_ExceptionMatches(PyExc_TypeError)) {
      PyErr_Format(PyExc_TypeError, "%s must be an int, not %.100s", what,
                   Py_TYPE(object)->tp_name);
    }
    return -1;
  }
  *number = PyLong_AsUnsignedLongLong(whole);
  const int is_beyond = *number == (uint64_t)-1 && PyErr_Occurred() != NULL;
  PyErr_Clear();
  Py_DECREF(whole);
  if (!is_beyond && *number >= least && *number <= most) return 0;
  PyErr_Format(PyExc_ValueError, "%s must be from %llu to %llu, not %R", what,
               (unsigned long long)least, (unsigned long long)most, object);
  return -1;
}

int seconds_of(PyObject* object, const char* what, int64_t* ns) {
  if (object == Py_None) {
    *ns = INT64_MAX;
    return 0;
  }
  const double seconds = PyFloat_AsDouble(object);
  if (seconds == -1.0 && PyErr_Occurred() != NULL) {
    if (PyErr_ExceptionMatches(PyExc_TypeError)) {
      PyErr_Format(PyExc_TypeError, "%s must be seconds, int or float, not %.100s", what,
                   Py_TYPE(object)->tp_name);
    }
    return -1;
  }
  if (isnan(seconds)) {
    PyErr_Format(PyExc_ValueError, "%s is not a number", what);
    return -1;
  }
  const double wanted_ns = ceil(seconds * 1e9);
  *ns = wanted_ns <= 0 ? 0 : wanted_ns >= (double)INT64_MAX ? INT64_MAX : (int64_t)wanted_ns;
  return 0;
}

static void raise_none_of(PyObject* object, const char* what, const char* const* words) {
  PyObject* list = PyUnicode_FromString("");
  for (const char* const* word = words; list != NULL && *word != NULL; ++word) {
    Py_SETREF(list, PyUnicode_FromFormat(word == words ? "%U'%s'" : "%U, '%s'", list, *word));
  }
  if (list == NULL) return;
  PyErr_Format(PyExc_ValueError, "%s must be one of %U, not %R", what, list, object);
  Py_DECREF(list);
}

int word_of(PyObject* object, const char* what, const char* const* words, uint32_t* index) {
  if (!PyUnicode_Check(object)) {
    PyErr_Format(PyExc_TypeError, "%s must be str, not %.100s", what, Py_TYPE(object)->tp_name);
    return -1;
  }
  for (uint32_t i = 0; words[i] != NULL; ++i) {
    if (PyUnicode_CompareWithASCIIString(object, words[i]) != 0) continue;
    *index = i;
    return 0;
  }
  raise_none_of(object, what, words);
  return -1;
}

static int place_of(PyObject* name, const char* const* wanted) {
  for (int i = 0; wanted[i] != NULL; ++i) {
    if (PyUnicode_CompareWithASCIIString(name, wanted[i]) == 0) return i;
  }
  return -1;
}

int take_arguments(const char* call, PyObject* const* given, Py_ssize_t count, PyObject* names,
                   const char* const* wanted, int required, PyObject** taken) {
  int most = 0;
  while (wanted[most] != NULL) ++most;
  if (count > most) {
    PyErr_Format(PyExc_TypeError, "%s() takes at most %d arguments, not %zd", call, most, count);
    return -1;
  }
  unsigned there = 0; /* a bit for each place that was given */
  for (Py_ssize_t i = 0; i < count; ++i) {
    taken[i] = given[i];
    there |= 1u << i;
  }
  const Py_ssize_t named = names == NULL ? 0 : PyTuple_GET_SIZE(names);
  for (Py_ssize_t i = 0; i < named; ++i) {
    PyObject* name = PyTuple_GET_ITEM(names, i);
    const int place = place_of(name, wanted);
    if (place < 0 || (there >> place & 1u) != 0) {
      PyErr_Format(PyExc_TypeError,
                   place < 0 ? "%s() has no argument %R" : "%s() was given %R twice", call, name);
      return -1;
    }
    taken[place] = given[count + i];
    there |= 1u << place;
  }
  for (int i = 0; i < required; ++i) {
    if ((there >> i & 1u) != 0) continue;
    PyErr_Format(PyExc_TypeError, "%s() wants the argument '%s'", call, wanted[i]);
    return -1;
  }
  return 0;
}
