/* Response fields: what tells a client how it stands. */
#include <string.h>

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

/* All private ones have the same word for a path. */
static int is_same_segment(const SegmentObject* one, const SegmentObject* other) {
  const char* path = librl_path(one->handle);
  return one == other || (path[0] == '/' && strcmp(path, librl_path(other->handle)) == 0);
}

/* Which of the limiter's limits decided; of none, how many there are. */
static size_t decided_by(const LimiterObject* self, const char* policy,
                         const DecisionObject* decision) {
  const size_t count = librl_limiter_count(self->handle);
  const LimiterObject* asked = decision->asked;
  if (asked == NULL) return count > 1 ? decision->told.which : 0;
  const char* asked_policy = PyUnicode_AsUTF8(asked->policy);
  if (asked_policy == NULL || !is_same_segment(self->segment, asked->segment)) return count;
  const Name decided = name_of(asked_policy, decision->listed);
  size_t i = 0;
  while (i < count && strcmp(name_of(policy, i).text, decided.text) != 0) ++i;
  return i;
}

static int write_standing(const LimiterObject* self, const char* policy,
                          const DecisionObject* decision, char* value, size_t size) {
  const size_t which = decided_by(self, policy, decision);
  if (which >= librl_limiter_count(self->handle)) return 0; /* another limiter's */
  librl_decision_t told = decision->told;
  told.which = which;
  return librl_ratelimit(name_of(policy, which).text, self->handle, &told, value, size);
}

static PyObject* headers(const LimiterObject* self, const DecisionObject* decision) {
  const char* policy = PyUnicode_AsUTF8(self->policy);
  PyObject* list = policy == NULL ? NULL : PyList_New(0);
  if (list == NULL) return NULL;
  char standing[LIBRL_FIELD_MAX];
  char after[LIBRL_FIELD_MAX];
  const int standing_size = write_standing(self, policy, decision, standing, sizeof standing);
  const int after_size = librl_retry_after(&decision->told, after, sizeof after);
  const int code = standing_size < 0 ? standing_size : after_size;
  if (code < 0) {
    Py_DECREF(list);
    return raise_refused(self->state, code, "headers");
  }
  if (add_policies(self, list, policy) < 0 ||
      add(self, list, RATELIMIT, standing, standing_size) < 0 ||
      add(self, list, RETRY_AFTER, after, after_size) < 0) {
    Py_CLEAR(list);
  }
  return list;
}

PyObject* limiter_headers(PyObject* object, PyObject* argument) {
  LimiterObject* self = (LimiterObject*)object;
  const DecisionObject* decision = decision_of(self->state, argument);
  return decision == NULL ? NULL : after_lines(headers(self, decision));
}
