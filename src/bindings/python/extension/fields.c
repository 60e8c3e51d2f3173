/* Response fields: what tells a client how it stands. */
#include "binding.h"

enum { RATELIMIT_POLICY, RATELIMIT, RETRY_AFTER };

/* Adds a field whose value is that many bytes; of none it has nothing to say. */
static int add(const LimiterObject* self, PyObject* list, int field, const char* value, int size) {
  if (size <= 0) return size;
  PyObject* pair = Py_BuildValue("(Os#)", self->state->field_names[field], value, (Py_ssize_t)size);
  const int status = pair == NULL ? -1 : PyList_Append(list, pair);
  Py_XDECREF(pair);
  return status;
}

/* The name of a list's policy, as the library makes it: NAME, NAME#2, NAME#3 ... */
typedef struct {
  char text[80];
} Name;

static Name name_of(const char* policy, size_t index) {
  Name name;
  PyOS_snprintf(name.text, sizeof name.text, index == 0 ? "%s" : "%s#%zu", policy, index + 1);
  return name;
}

/* One field for all limits of a list, with commas between its members (RFC 9651, section 3.1). */
static int add_policies(const LimiterObject* self, PyObject* list, const char* policy) {
  enum { kListMax = 16 };
  char value[kListMax * (LIBRL_FIELD_MAX + 2)];
  int size = 0;
  const size_t count = librl_limiter_count(self->handle);
  for (size_t i = 0; i < count && i < kListMax; ++i) {
    char one[LIBRL_FIELD_MAX];
    const Name name = name_of(policy, i);
    const int more = librl_ratelimit_policy(name.text, self->handle, i, one, sizeof one);
    if (more <= 0) continue;
    size += PyOS_snprintf(value + size, sizeof value - (size_t)size, "%s%.*s",
                          size == 0 ? "" : ", ", more, one);
  }
  return add(self, list, RATELIMIT_POLICY, value, size);
}

PyObject* limiter_headers(PyObject* object, PyObject* argument) {
  LimiterObject* self = (LimiterObject*)object;
  DecisionObject* decision = decision_of(self->state, argument);
  const char* policy = decision == NULL ? NULL : PyUnicode_AsUTF8(self->policy);
  if (policy == NULL) return NULL;
  PyObject* list = PyList_New(0);
  if (list == NULL) return NULL;
  char standing[LIBRL_FIELD_MAX];
  char after[LIBRL_FIELD_MAX];
  const librl_decision_t* told = &decision->told;
  const Name decided = name_of(policy, librl_limiter_count(self->handle) > 1 ? told->which : 0);
  const int standing_size =
      librl_ratelimit(decided.text, self->handle, told, standing, sizeof standing);
  const int after_size = librl_retry_after(told, after, sizeof after);
  const int codes = standing_size < 0 ? standing_size : after_size < 0 ? after_size : 0;
  if (codes < 0) {
    Py_DECREF(list);
    return after_lines(raise_refused(self->state, codes, "headers"));
  }
  if (add_policies(self, list, policy) < 0 ||
      add(self, list, RATELIMIT, standing, standing_size) < 0 ||
      add(self, list, RETRY_AFTER, after, after_size) < 0) {
    Py_CLEAR(list);
  }
  return after_lines(list);
}
