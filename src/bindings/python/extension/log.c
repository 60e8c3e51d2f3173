/* Log lines: kept while the library is at work, and told to the logger "librl" when it is done. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "binding.h"

typedef struct Line {
  struct Line* next;
  int is_warning;
  size_t size;
  char text[];
} Line;

atomic_int lines_waiting;
/* A line is told by the thread that it was said on, so nothing here needs a lock, and a child of a
 * fork finds no half of one. */
static _Thread_local Line* first_line;
static _Thread_local int is_at_work;

void let_lines_wait(int is_without_gil) {
  is_at_work = is_without_gil;
}

static void keep_line(int is_warning, const char* text, size_t size, void* context) {
  (void)context;
  /* A thread of somebody else's, on which nothing of ours will tell it, and the end of all. */
  if (!Py_IsInitialized() || !(is_at_work || PyGILState_Check())) {
    (void)fprintf(stderr, "%.*s\n", (int)size, text);
    return;
  }
  Line* line = malloc(sizeof *line + size);
  if (line == NULL) return;
  *line = (Line){NULL, is_warning, size};
  memcpy(line->text, text, size);
  Line** last = &first_line;
  while (*last != NULL) last = &(*last)->next;
  *last = line;
  atomic_fetch_add_explicit(&lines_waiting, 1, memory_order_relaxed);
}

/* Returns 0, or -1 with an exception that is not only the handler's. */
static int tell(const Line* line) {
  PyObject* text = PyUnicode_DecodeUTF8(line->text, (Py_ssize_t)line->size, "replace");
  PyObject* logging = PyImport_ImportModule("logging");
  PyObject* logger =
      logging == NULL ? NULL : PyObject_CallMethod(logging, "getLogger", "s", "librl");
  PyObject* done = NULL;
  if (text != NULL && logger != NULL) {
    const char* level = line->is_warning ? "warning" : "info";
    done = PyObject_CallMethod(logger, level, "sO", "%s", text);
  }
  const int is_the_end = done == NULL && !PyErr_ExceptionMatches(PyExc_Exception);
  if (done == NULL && !is_the_end) PyErr_WriteUnraisable(logger);
  Py_XDECREF(done);
  Py_XDECREF(logger);
  Py_XDECREF(logging);
  Py_XDECREF(text);
  return is_the_end ? -1 : 0;
}

int tell_waiting_lines(void) {
  PyObject *type, *value, *traceback;
  PyErr_Fetch(&type, &value, &traceback);
  int status = 0;
  for (Line* line; (line = first_line) != NULL; free(line)) {
    first_line = line->next; /* before a handler makes calls of its own */
    atomic_fetch_sub_explicit(&lines_waiting, 1, memory_order_relaxed);
    if (tell(line) == 0) continue;
    if (status < 0) {
      PyErr_WriteUnraisable(NULL);
      continue;
    }
    status = -1;
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
    PyErr_Fetch(&type, &value, &traceback);
  }
  PyErr_Restore(type, value, traceback);
  return status;
}

void tell_lines_at_end(void) {
  PyObject *type, *value, *traceback;
  PyErr_Fetch(&type, &value, &traceback);
  if (tell_lines() < 0) {
    /* A Ctrl-C comes again, where Python can raise it. */
    if (PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)) {
      PyErr_Clear();
      PyErr_SetInterrupt();
    } else {
      PyErr_WriteUnraisable(NULL);
    }
  }
  PyErr_Restore(type, value, traceback);
}

void take_log(void) {
  librl_set_log(keep_line, NULL);
}
