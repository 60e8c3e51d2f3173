/**
 * \file
 * What the parts of the extension share: the module's state, its objects, and how arguments, errors
 * and log lines cross between Python and the library.
 *
 * Calls run with the GIL held, which is what makes a Permit one thread's at a time: a decision takes
 * less than to let go of it. Only what may read or write a whole segment lets others run meanwhile.
 * Nothing here sleeps: whoever waits does so in Python (_waiting.py).
 */
#ifndef LIBRL_PYTHON_BINDING_H
#define LIBRL_PYTHON_BINDING_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <rl/rl.h>
#include <stdatomic.h>

/** What one interpreter's module has; it lives as long as any of its types. */
typedef struct {
  PyTypeObject* segment;
  PyTypeObject* limiter;
  PyTypeObject* decision;
  PyTypeObject* permit;
  PyTypeObject* count;
  PyTypeObject* turn;
  PyObject* errors;                 /**< {code: class}, of _errors.py */
  PyObject* denied;                 /**< class, of _errors.py */
  PyObject* reasons[LIBRL_OFF + 1]; /**< the words, as str */
  PyObject* field_names[3];         /**< of response fields, as str */
} State;

typedef struct {
  PyObject ob_base;
  State* state;
  librl_segment_t* handle;
  int is_manual; /**< its clock is moved by hand: who waits looks often */
} SegmentObject;

typedef struct LimiterObject {
  PyObject ob_base;
  State* state;
  librl_limiter_t* handle;
  SegmentObject* segment; /**< for its clock */
  PyObject* policy;       /**< str */
  librl_limiter_t** each; /**< the limits of a list one by one, once somebody has asked for them */
} LimiterObject;

typedef struct {
  PyObject ob_base;
  State* state;
  librl_decision_t told;
  struct LimiterObject* asked; /**< of try_acquire_all(), the one that decided, else NULL */
  size_t listed;               /**< and which limit of it, if it is a list */
} DecisionObject;

typedef struct {
  PyObject ob_base;
  State* state;
  librl_permit_t* handle; /**< NULL when there is none, or none any more */
  DecisionObject* decision;
} PermitObject;

typedef struct {
  PyObject ob_base;
  State* state;
  int is_counted;
  librl_count_t told;
} CountObject;

extern struct PyModuleDef librl_module;
extern PyType_Spec segment_spec, limiter_spec, decision_spec, permit_spec, count_spec, turn_spec;

/** Returns the state of the module that a type, or the type it derives from, was made by. */
State* state_of_type(PyTypeObject* type);

/* --- decision_type.c --- */
/** Returns an empty decision, ready to be filled in; NULL with an exception. */
DecisionObject* new_decision(State* state);
/** Returns the object as a decision; NULL with a TypeError. */
DecisionObject* decision_of(State* state, PyObject* object);

/** Makes a decision of what pickle has kept of another. */
PyObject* restore_decision(PyObject* module, PyObject* args);

/** Returns the word for a reason. */
PyObject* reason_as_word(const State* state, int32_t reason);

/* --- count_type.c --- */
PyObject* new_count(State* state, int is_counted, const librl_count_t* told);

/* --- permit_type.c --- */
/** Takes over both the handle, which may be NULL, and the reference to the decision. */
PyObject* new_permit(State* state, librl_permit_t* handle, DecisionObject* decision);

/* --- limiter_type.c --- */
/** Fills LimiterObject.each. Returns 0, or -1 with an exception. */
int take_apart(LimiterObject* self);
/** Returns the instant that is so far away, on the segment's clock. */
int64_t deadline_of(const LimiterObject* self, int64_t timeout_ns);

/* --- limiter_calls.c, fields.c --- */
extern PyMethodDef limiter_methods[];
/** Returns the response fields of a decision. */
PyObject* limiter_headers(PyObject* self, PyObject* argument);

/* --- module functions, and those of several limiters: functions.c --- */
extern PyMethodDef librl_functions[];

/* --- arguments.c: 0, or -1 with an exception --- */
typedef struct {
  const char* data;
  Py_ssize_t size;
} Bytes;
/** Takes str, as UTF-8, or bytes; lives as long as the object. A key has at least one byte. */
int key_of(PyObject* object, Bytes* key);
int bytes_of(PyObject* object, const char* what, Bytes* bytes);
/** Takes an int from `least` to `most`; `what` names it in the exception. */
int number_of(PyObject* object, const char* what, uint64_t least, uint64_t most, uint64_t* number);
/** Takes seconds, also fractions; None is for ever, what is below 0 is 0. */
int seconds_of(PyObject* object, const char* what, int64_t* ns);
/** Takes one of some words, the last of which is NULL: its index. */
int word_of(PyObject* object, const char* what, const char* const* words, uint32_t* index);
/** Puts arguments in the places of their names; the first `required` ones must be there. What is
 * not given stays as it is. */
int take_arguments(const char* call, PyObject* const* given, Py_ssize_t count, PyObject* names,
                   const char* const* wanted, int required, PyObject** taken);

/* --- errors.c --- */
/** Raises what stands for a code, and returns NULL. */
PyObject* raise_code(State* state, int code, const char* sentence);
/** The same with librl_last_error(). */
PyObject* raise_last(State* state, int code);
/** The same for a call that the limit or the segment does not take. */
PyObject* raise_refused(State* state, int code, const char* call);

/* --- log.c --- */
extern atomic_int lines_waiting;
/** Has the library's lines come to the logger "librl". */
void take_log(void);
/** Says that this thread is at work in the library without the GIL, or no more. */
void let_lines_wait(int is_without_gil);
int tell_waiting_lines(void);
/** Tells what the library had to say during the call just made: not from within it, as a handler
 * may do anything, and the library may be holding something; and with the exception of the call
 * already raised, as a handler that makes calls of its own changes librl_last_error(). Returns 0, or
 * -1 with the first that a handler raised to end more than itself, such as KeyboardInterrupt: the
 * caller has that instead of an answer. */
static inline int tell_lines(void) {
  return atomic_load_explicit(&lines_waiting, memory_order_relaxed) == 0 ? 0 : tell_waiting_lines();
}
/** The same for a call that is done. Returns its result, which it takes over, or NULL. */
static inline PyObject* after_lines(PyObject* result) {
  if (tell_lines() < 0) Py_CLEAR(result);
  return result;
}
/** The same where nobody can be told an exception: as an object ends. */
void tell_lines_at_end(void);

/** Returns a duration as Python has it; `NEVER_NS` is infinity. */
PyObject* seconds_as_float(int64_t ns);

#endif
