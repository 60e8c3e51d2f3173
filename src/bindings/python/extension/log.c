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

static void tell(const Line* line) {
  PyObject* text = PyUnicode_DecodeUTF8(line->text, (Py_ssize_t)line->size, "replace");
  PyObject* logging = PyImport_ImportModule("logging");
  PyObject* logger =
      logging == NULL ? NULL : PyObject_CallMethod(logging, "getLogger", "s", "librl");
  PyObject* done = NULL;
  if (text != NULL && logger != NULL) {
    const char* level = line->is_warning ? "warning" : "info";
    done = PyObject_CallMethod(logger, level, "sO", "%s", text);
  }
  if (done == NULL) PyErr_WriteUnraisable(logger);
  Py_XDECREF(done);
  Py_XDECREF(logger);
  Py_XDECREF(logging);
  Py_XDECREF(text);
}

void tell_waiting_lines(void) {
  PyObject *type, *value, *traceback;
  PyErr_Fetch(&type, &value, &traceback);
  for (Line* line; (line = first_line) != NULL; free(line)) {
    first_line = line->next; /* before a handler makes calls of its own */
    atomic_fetch_sub_explicit(&lines_waiting, 1, memory_order_relaxed);
    tell(line);
  }
  PyErr_Restore(type, value, traceback);
}

void take_log(void) {
  librl_set_log(keep_line, NULL);
}
