#define _POSIX_C_SOURCE 200809L
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/c_abi/c_abi.h"

void numbers_are_for_ever(void) {
  CHECK(LIBRL_EINVALID == -1 && LIBRL_ENOMEM == -2 && LIBRL_EBAD_NAME == -3);
  CHECK(LIBRL_EBAD_LIMIT == -4 && LIBRL_EBAD_OPTION == -5 && LIBRL_ENOT_FOUND == -6);
  CHECK(LIBRL_EEXISTS == -7 && LIBRL_EPERMISSION == -8 && LIBRL_ENOT_A_SEGMENT == -9);
  CHECK(LIBRL_EWRONG_VERSION == -10 && LIBRL_EWRONG_HOST == -11 && LIBRL_ECORRUPT == -12);
  CHECK(LIBRL_ENO_SPACE == -13 && LIBRL_ETOO_MANY == -14 && LIBRL_EUNKNOWN_POLICY == -15);
  CHECK(LIBRL_EREAD_ONLY == -16 && LIBRL_EUNSUPPORTED == -17 && LIBRL_ESYSTEM == -18);
  CHECK(LIBRL_EUNEXPECTED == -19);
  CHECK(LIBRL_OK == 0 && LIBRL_LIMITED == 1 && LIBRL_NEVER == 2 && LIBRL_BANNED == 3);
  CHECK(LIBRL_OVERRIDE == 4 && LIBRL_SHADOW == 5 && LIBRL_FULL == 6 && LIBRL_UNAVAILABLE == 7);
  CHECK(LIBRL_INVALID == 8 && LIBRL_OFF == 9);
  CHECK(LIBRL_OPEN_OR_CREATE == 0 && LIBRL_OPEN_EXISTING == 1 && LIBRL_CREATE == 2);
  CHECK(LIBRL_OPEN_READ_ONLY == 3 && LIBRL_OPEN_PRIVATE == 4);
  CHECK(LIBRL_FAIL_OPEN_CALL == 0 && LIBRL_FAIL_ALLOW == 1 && LIBRL_FAIL_DENY == 2);
  CHECK(LIBRL_FAIL_LOCAL == 3 && LIBRL_NO_LABELS == 1 && LIBRL_ANY_OWNER == 2 &&
        LIBRL_SMALL_PAGES == 4);
  CHECK(LIBRL_CLOCK_AUTO == 0 && LIBRL_CLOCK_TSC == 1 && LIBRL_CLOCK_BOOTTIME == 2);
  CHECK(LIBRL_CLOCK_MANUAL == 3 && LIBRL_NEVER_NS == INT64_MAX);
  CHECK(LIBRL_ASKS_MAX == 16 && LIBRL_KEY_MAX == 254 && LIBRL_FIELD_MAX == 159);
}

void a_code_has_words_and_another_number_has_none(void) {
  for (int code = LIBRL_EUNEXPECTED; code < 0; ++code) {
    CHECK(strlen(librl_strerror(code)) > 3);
    for (int other = code + 1; other <= 0; ++other)
      CHECK(strcmp(librl_strerror(code), librl_strerror(other)) != 0);
  }
  CHECK(strcmp(librl_strerror(0), "no error") == 0);
  CHECK(strcmp(librl_strerror(1), "no error") == 0);
  CHECK(strcmp(librl_strerror(LIBRL_EUNEXPECTED - 1), "no code of this library") == 0);
  CHECK(strcmp(librl_strerror(INT_MIN), "no code of this library") == 0);
}

void a_reason_has_the_word_of_rlctl(void) {
  const char* const words[] = {"ok",     "limited", "never",       "banned",  "override",
                               "shadow", "full",    "unavailable", "invalid", "off"};
  for (int reason = LIBRL_OK; reason <= LIBRL_OFF; ++reason)
    CHECK(strcmp(librl_reason(reason), words[reason]) == 0);
  CHECK(strcmp(librl_reason(-1), "?") == 0);
  CHECK(strcmp(librl_reason(LIBRL_OFF + 1), "?") == 0);
}

void the_version_is_that_of_the_header(void) {
  CHECK(strcmp(librl_version(), LIBRL_VERSION) == 0);
}

void a_sentence_says_what_failed_and_stays_until_the_next(void) {
  CHECK(librl_check_limits("fast") == LIBRL_EBAD_LIMIT);
  CHECK(strstr(librl_last_error(), "fast") != NULL);
  CHECK(librl_check_limits("10/s") == 0);
  CHECK(strstr(librl_last_error(), "fast") != NULL);
  CHECK(librl_remove("a/b") == LIBRL_EBAD_NAME);
  CHECK(strstr(librl_last_error(), "a/b") != NULL);
}

static void* fail_in_a_thread(void* begins_empty) {
  *(int*)begins_empty = librl_last_error()[0] == '\0';
  CHECK(librl_check_limits("slow") == LIBRL_EBAD_LIMIT);
  CHECK(strstr(librl_last_error(), "slow") != NULL);
  return NULL;
}

void a_thread_has_a_sentence_of_its_own(void) {
  pthread_t thread;
  int begins_empty = 0;
  CHECK(librl_check_limits("fast") == LIBRL_EBAD_LIMIT);
  CHECK(pthread_create(&thread, NULL, fail_in_a_thread, &begins_empty) == 0);
  CHECK(pthread_join(thread, NULL) == 0);
  CHECK(begins_empty);
  CHECK(strstr(librl_last_error(), "fast") != NULL);
}

struct lines {
  int count;
  int warnings;
  int has_text;
};

static void count_line(int is_warning, const char* line, size_t size, void* context) {
  struct lines* const lines = context;
  ++lines->count;
  lines->warnings += is_warning;
  lines->has_text = size > 10 && memchr(line, '\0', size) == NULL;
}

static void log_one(void) {
  struct fixture f = set_up("10/s");
  librl_limiter_t* other = NULL;
  CHECK(librl_limiter(f.segment, "api", "20/s", &other) ==
        0); /* which is not in force: that is said */
  librl_limiter_free(other);
  tear_down(&f);
}

void log_lines_go_where_they_are_sent(void) {
  struct lines lines = {0, 0, 0};
  librl_set_log(count_line, &lines);
  log_one();
  CHECK(lines.count == 1);
  CHECK(lines.warnings == 1);
  CHECK(lines.has_text);
  librl_set_log(NULL, &lines);
  log_one();
  CHECK(lines.count == 1);
}

static int open_as(const char* name, uint32_t how, librl_segment_t** segment) {
  librl_options_t options = LIBRL_OPTIONS_INIT;
  options.open = how;
  options.keys = 1000;
  return librl_open(name, &options, segment);
}

void a_segment_is_opened_in_each_way(void) {
  const char* const name = name_for_case();
  librl_segment_t* segment = NULL;
  CHECK(open_as(name, LIBRL_OPEN_EXISTING, &segment) == LIBRL_ENOT_FOUND);
  CHECK(segment == NULL);
  CHECK(open_as(name, LIBRL_CREATE, &segment) == 0);
  CHECK(strstr(librl_path(segment), name) != NULL);
  librl_close(segment);
  CHECK(open_as(name, LIBRL_CREATE, &segment) == LIBRL_EEXISTS);
  CHECK(open_as(name, LIBRL_OPEN_EXISTING, &segment) == 0);
  librl_close(segment);
  CHECK(open_as(name, LIBRL_OPEN_READ_ONLY, &segment) == 0);
  librl_close(segment);
  CHECK(librl_open(name, NULL, &segment) == 0);
  CHECK(librl_is_without_segment(segment) == 0);
  librl_close(segment);
  CHECK(open_as(NULL, LIBRL_OPEN_PRIVATE, &segment) == 0);
  librl_close(segment);
}

void what_cannot_be_opened_has_the_code_of_its_reason(void) {
  librl_segment_t* segment = NULL;
  librl_options_t options = LIBRL_OPTIONS_INIT;
  CHECK(librl_open("a/b", NULL, &segment) == LIBRL_EBAD_NAME);
  CHECK(librl_open("", NULL, &segment) == LIBRL_EBAD_NAME);
  CHECK(open_as("/dev/null", LIBRL_OPEN_EXISTING, &segment) == LIBRL_ENOT_A_SEGMENT);
  CHECK(strstr(librl_last_error(), "/dev/null") != NULL);
  options.policies = 1000000;
  CHECK(librl_open(name_for_case(), &options, &segment) == LIBRL_EBAD_OPTION);
  CHECK(segment == NULL);
}

void options_reach_the_segment(void) {
  struct stat file, usual_file;
  librl_segment_t* usual = NULL;
  librl_segment_t* segment = NULL;
  librl_limiter_t* limiter = NULL;
  librl_options_t options = LIBRL_OPTIONS_INIT;
  options.mode = 0640;
  options.keys = 1000;
  options.policies = 16;
  options.flags = LIBRL_NO_LABELS | LIBRL_ANY_OWNER | LIBRL_SMALL_PAGES;
  options.clock = LIBRL_CLOCK_MANUAL;
  options.owner = "0";
  options.group = "no such group";
  CHECK(librl_open(name_for_case(), &options, &segment) != 0);
  options.owner = options.group = NULL;
  CHECK(librl_open(name_for_case(), &options, &segment) == 0);
  CHECK(stat(librl_path(segment), &file) == 0);
  CHECK((file.st_mode & 0777) == 0640);
  CHECK(librl_open(name_for_case(), NULL, &usual) == 0);
  CHECK(stat(librl_path(usual), &usual_file) == 0);
  CHECK((usual_file.st_mode & 0777) == 0600);
  CHECK(file.st_size < usual_file.st_size / 2); /* 1,000 keys without labels, and 65,536 with */
  librl_close(usual);
  CHECK(librl_now(segment) == 0);
  for (int i = 0; i < 16; ++i) {
    const char name[] = {(char)('a' + i), '\0'};
    const int code = librl_limiter(segment, name, "1/s", &limiter);
    CHECK(code == 0 || code == LIBRL_ETOO_MANY);
    if (i == 15) CHECK(code == LIBRL_ETOO_MANY);
    librl_limiter_free(limiter);
  }
  librl_close(segment);
}

static int code_of(uint32_t open, uint32_t on_failure, uint32_t flags, uint32_t clock,
                   uint32_t reserved) {
  librl_segment_t* segment = NULL;
  librl_options_t options = LIBRL_OPTIONS_INIT;
  options.open = open;
  options.on_failure = on_failure;
  options.flags = flags;
  options.clock = clock;
  options.reserved = reserved;
  options.keys = 1000;
  const int code = librl_open(name_for_case(), &options, &segment);
  CHECK((segment != NULL) == (code == 0));
  librl_close(segment);
  return code;
}

void options_that_make_no_sense_are_invalid(void) {
  CHECK(code_of(LIBRL_OPEN_PRIVATE + 1, 0, 0, 0, 0) == LIBRL_EINVALID);
  CHECK(code_of(0, LIBRL_FAIL_LOCAL + 1, 0, 0, 0) == LIBRL_EINVALID);
  CHECK(code_of(0, 0, 8, 0, 0) == LIBRL_EINVALID);
  CHECK(code_of(0, 0, 0, LIBRL_CLOCK_MANUAL + 1, 0) == LIBRL_EINVALID);
  CHECK(code_of(0, 0, 0, 0, 1) == LIBRL_EINVALID);
  CHECK(code_of(LIBRL_CREATE, LIBRL_FAIL_ALLOW, 0, 0, 0) == LIBRL_EINVALID);
  CHECK(strstr(librl_last_error(), "LIBRL_OPTIONS_INIT") != NULL);
  CHECK(code_of(0, LIBRL_FAIL_ALLOW, 3, LIBRL_CLOCK_BOOTTIME, 0) == 0);
}

static void swallow(int is_warning, const char* line, size_t size, void* context) {
  (void)is_warning, (void)line, (void)size, (void)context;
}

void without_a_segment_calls_get_what_was_asked_for(void) {
  const struct {
    uint32_t on_failure;
    int first, third; /* what the first and the third call get, of four that are divided by two */
    int reason;
  } rows[] = {{LIBRL_FAIL_ALLOW, 1, 1, LIBRL_UNAVAILABLE},
              {LIBRL_FAIL_DENY, 0, 0, LIBRL_UNAVAILABLE},
              {LIBRL_FAIL_LOCAL, 1, 0, LIBRL_OK}};
  librl_options_t options = LIBRL_OPTIONS_INIT;
  librl_segment_t* segment = NULL;
  options.share = 2;
  librl_set_log(swallow, NULL);
  CHECK(librl_open("/no-such-folder/web", &options, &segment) < 0);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; ++i) {
    librl_limiter_t* limiter = NULL;
    librl_decision_t d = LIBRL_DECISION_INIT;
    options.on_failure = rows[i].on_failure;
    CHECK(librl_open("/no-such-folder/web", &options, &segment) == 0);
    CHECK(librl_is_without_segment(segment) == 1);
    CHECK(librl_limiter(segment, "api", "4/d", &limiter) == 0);
    CHECK(librl_acquire(limiter, A, 1, &d) == rows[i].first);
    CHECK(d.reason == rows[i].reason);
    CHECK(librl_acquire(limiter, A, 1, &d) == rows[i].first);
    CHECK(librl_acquire(limiter, A, 1, &d) == rows[i].third);
    librl_limiter_free(limiter);
    librl_close(segment);
  }
  librl_set_log(NULL, NULL);
}

void a_name_is_removed_once(void) {
  const char* const name = name_for_case();
  librl_segment_t* segment = NULL;
  CHECK(librl_remove(name) == 0);
  CHECK(open_as(name, LIBRL_CREATE, &segment) == 0);
  librl_close(segment);
  CHECK(librl_remove(name) == 1);
  CHECK(librl_remove(name) == 0);
  CHECK(librl_remove("/dev/null") == LIBRL_ENOT_A_SEGMENT);
}

void a_manual_clock_goes_forward_only(void) {
  struct fixture f = set_up("10/s");
  librl_segment_t* other = NULL;
  CHECK(librl_now(f.segment) == 0);
  CHECK(librl_advance_clock(f.segment, SECOND) == 0);
  CHECK(librl_now(f.segment) == SECOND);
  CHECK(librl_advance_clock(f.segment, -1) == LIBRL_EBAD_OPTION);
  CHECK(librl_advance_clock(f.segment, INT64_MIN) == LIBRL_EBAD_OPTION);
  CHECK(librl_advance_clock(f.segment, INT64_MAX) == LIBRL_EBAD_OPTION);
  CHECK(librl_now(f.segment) == SECOND);
  CHECK(open_as(NULL, LIBRL_OPEN_PRIVATE, &other) == 0);
  CHECK(librl_advance_clock(other, SECOND) == LIBRL_EBAD_OPTION);
  librl_close(other);
  tear_down(&f);
}

void all_keys_are_forgotten_and_counted(void) {
  struct fixture f = set_up("1/s");
  uint64_t forgotten = 7;
  CHECK(librl_acquire(f.limiter, A, 1, NULL) == 1);
  CHECK(librl_acquire(f.limiter, B, 1, NULL) == 1);
  CHECK(librl_reset_all(f.segment, &forgotten) == 0);
  CHECK(forgotten == 2);
  CHECK(librl_acquire(f.limiter, A, 1, NULL) == 1);
  CHECK(librl_reset_all(f.segment, NULL) == 0);
  CHECK(librl_acquire(f.limiter, A, 1, NULL) == 1);
  tear_down(&f);
}

void a_limiter_goes_on_when_its_segment_is_closed(void) {
  struct fixture f = set_up("1/s");
  librl_close(f.segment);
  f.segment = NULL;
  CHECK(librl_acquire(f.limiter, A, 1, NULL) == 1);
  CHECK(librl_acquire(f.limiter, A, 1, NULL) == 0);
  tear_down(&f);
}

void the_first_limit_of_a_name_stands(void) {
  struct fixture f = set_up("10/s");
  librl_limiter_t* other = NULL;
  char text[32] = "";
  librl_set_log(swallow, NULL);
  CHECK(librl_differs(f.limiter) == 0);
  CHECK(librl_limiter(f.segment, "api", "20/s", &other) == 0);
  CHECK(librl_differs(other) == 1);
  CHECK(librl_limit_text(other, text, sizeof text) == 4);
  CHECK(strcmp(text, "10/s") == 0);
  librl_limiter_free(other);
  CHECK(librl_limiter(f.segment, "api", NULL, &other) == 0);
  CHECK(librl_differs(other) == 0);
  librl_limiter_free(other);
  CHECK(librl_limiter(f.segment, "none", NULL, &other) == LIBRL_EUNKNOWN_POLICY);
  CHECK(other == NULL);
  CHECK(librl_limiter(f.segment, "", "10/s", &other) == LIBRL_EBAD_NAME);
  CHECK(librl_limiter(f.segment, "new", "10", &other) == LIBRL_EBAD_LIMIT);
  librl_set_log(NULL, NULL);
  tear_down(&f);
}

void a_limit_is_changed_by_who_says_so(void) {
  struct fixture f = set_up("10/h");
  char text[32] = "";
  CHECK(librl_acquire(f.limiter, A, 8, NULL) == 1);
  CHECK(librl_set_policy(f.segment, "api", "9/h") == 0);
  CHECK(librl_limit_text(f.limiter, text, sizeof text) == 3);
  CHECK(strcmp(text, "9/h") == 0);
  CHECK(librl_acquire(f.limiter, A, 2, NULL) == 0);
  CHECK(librl_acquire(f.limiter, A, 1, NULL) == 1);
  CHECK(librl_set_policy(f.segment, "new", "1/s, 9/h") == 0);
  CHECK(librl_set_policy(f.segment, "api", "fast") == LIBRL_EBAD_LIMIT);
  CHECK(librl_set_policy(f.segment, "api", "concurrency 2") == LIBRL_EBAD_LIMIT);
  CHECK(librl_set_policy(f.segment, "", "9/h") == LIBRL_EBAD_NAME);
  CHECK(librl_set_policy(NULL, "api", "9/h") == LIBRL_EINVALID);
  CHECK(librl_set_policy(f.segment, NULL, "9/h") == LIBRL_EINVALID);
  CHECK(librl_set_policy(f.segment, "api", NULL) == LIBRL_EINVALID);
  tear_down(&f);
}

void a_list_stands_where_one_limit_is_asked_for(void) {
  struct fixture f = set_up("10/s, 15/h");
  librl_limiter_t* other = NULL;
  CHECK(librl_limiter(f.segment, "api", "10/s", &other) == 0);
  CHECK(librl_limiter_count(other) == 2);
  CHECK(librl_differs(f.limiter) == 0);
  CHECK(librl_differs(other) == 1);
  librl_limiter_free(other);
  tear_down(&f);
}

void a_list_has_a_limiter_of_each_limit(void) {
  struct fixture f = set_up("10/s burst=20, 15/h");
  librl_limiter_t* one = NULL;
  char text[32] = "";
  CHECK(librl_limiter_count(f.limiter) == 2);
  CHECK(librl_limiter_at(f.limiter, 1, &one) == 0);
  CHECK(librl_limiter_count(one) == 1);
  CHECK(librl_limit_text(one, text, sizeof text) == 4);
  CHECK(strcmp(text, "15/h") == 0);
  CHECK(librl_differs(one) == 0);
  CHECK(librl_acquire(one, A, 15, NULL) == 1);
  CHECK(librl_acquire(f.limiter, A, 1, NULL) == 0);
  librl_limiter_free(one);
  CHECK(librl_limiter_at(f.limiter, 2, &one) == LIBRL_EINVALID);
  CHECK(one == NULL);
  CHECK(librl_limiter_at(f.limiter, SIZE_MAX, &one) == LIBRL_EINVALID);
  tear_down(&f);
}

void a_limit_is_told_as_far_as_the_buffer_reaches(void) {
  struct fixture f = set_up("10/s burst=20, 15/h");
  char text[8] = "#######";
  CHECK(librl_limit_text(f.limiter, NULL, 0) == 19);
  CHECK(librl_limit_text(f.limiter, text, 5) == 19);
  CHECK(memcmp(text, "10/s\0##", 8) == 0);
  CHECK(librl_limit_text(f.limiter, text, 1) == 19);
  CHECK(memcmp(text, "\0000/s\0##", 8) == 0);
  CHECK(librl_limit_text(f.limiter, NULL, 1) == LIBRL_EINVALID);
  tear_down(&f);
}

void limits_are_checked_without_a_segment(void) {
  CHECK(librl_check_limits("100/s burst=200, 1000/h") == 0);
  CHECK(librl_check_limits("concurrency 5") == 0);
  CHECK(librl_check_limits("100/s, concurrency 5") == LIBRL_EBAD_LIMIT);
  CHECK(librl_check_limits("100/s,") == LIBRL_EBAD_LIMIT);
  CHECK(librl_check_limits("") == LIBRL_EBAD_LIMIT);
  CHECK(librl_check_limits(NULL) == LIBRL_EINVALID);
}

void setting_up_with_nothing_is_invalid(void) {
  struct fixture f = set_up("10/s");
  librl_segment_t* segment = f.segment;
  librl_limiter_t* limiter = f.limiter;
  uint64_t forgotten = 7;
  CHECK(librl_open(NULL, NULL, &segment) == LIBRL_EINVALID);
  CHECK(segment == NULL);
  CHECK(librl_open("web", NULL, NULL) == LIBRL_EINVALID);
  CHECK(librl_remove(NULL) == LIBRL_EINVALID);
  CHECK(strcmp(librl_path(NULL), "") == 0);
  CHECK(librl_now(NULL) == LIBRL_EINVALID);
  CHECK(librl_advance_clock(NULL, 1) == LIBRL_EINVALID);
  CHECK(librl_reset_all(NULL, &forgotten) == LIBRL_EINVALID);
  CHECK(forgotten == 0);
  CHECK(librl_is_without_segment(NULL) == LIBRL_EINVALID);
  CHECK(librl_limiter(NULL, "api", "10/s", &limiter) == LIBRL_EINVALID);
  CHECK(limiter == NULL);
  CHECK(librl_limiter(f.segment, NULL, "10/s", &limiter) == LIBRL_EINVALID);
  CHECK(librl_limiter(f.segment, "api", "10/s", NULL) == LIBRL_EINVALID);
  CHECK(strstr(librl_last_error(), "librl_limiter") != NULL);
  CHECK(librl_limiter_count(NULL) == 0);
  CHECK(librl_limiter_at(NULL, 0, &limiter) == LIBRL_EINVALID);
  CHECK(librl_limiter_at(f.limiter, 0, NULL) == LIBRL_EINVALID);
  CHECK(librl_limit_text(NULL, NULL, 0) == LIBRL_EINVALID);
  CHECK(librl_differs(NULL) == LIBRL_EINVALID);
  librl_close(NULL);
  librl_limiter_free(NULL);
  tear_down(&f);
}
