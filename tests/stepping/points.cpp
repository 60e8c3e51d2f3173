#include "tests/stepping/points.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstring>

#include "tests/traced.hpp"

namespace rl::test {
namespace {

void run_in_child(const Subject& subject, Told& told) {
  subject.get_ready();
  Traced::begin();
  try {
    subject.act(told);
    told.outcome = Told::succeeded;
  } catch (const Error& e) {
    told.outcome = Told::refused;
    told.code = e.code();
    std::strncpy(told.sentence, e.what(), sizeof told.sentence - 1);
  }
  Traced::end();
  subject.afterwards(told);
}

struct Tally {
  int calls = 0;
  int stores = 0;
  bool has_call = false;  ///< of the subject
};

std::string text_of(const Traced& child, const std::optional<Point>& at) {
  if (!at) return "after the last";
  if (at->kind == Point::store)
    return "before a store at ..." + std::to_string(at->address % 65536);
  return (at->kind == Point::entry ? "before " : "after ") + child.describe(*at);
}

/// Runs the operation to its n-th point, where it is killed or rivals come. False: it has no more.
bool try_point(const Stage& stage, const Subject& subject, int n, const Rivals& rivals,
               const Judge& judge, Tally& tally) {
  const auto unused = stage.place.used();
  subject.prepare();
  std::optional<Point> at;
  {
    Shared<Told> told;
    Traced child([&] { run_in_child(subject, told[0]); }, stage.place.directory(),
                 Traced::Watch::calls_and_stores);
    at = child.next();
    for (int i = 0; i < n && at; ++i) at = child.next();
    const std::string text = text_of(child, at);
    INFO(subject.name, ", point ", n, ", ", text);
    tally.has_call = tally.has_call || text.find("before " + subject.call) == 0;
    const auto began = std::chrono::steady_clock::now();
    if (rivals) {
      rivals();
      CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(10));
      CHECK(child.finish() == 0);
    } else {
      child.kill();
    }
    INFO("it was told: ", told[0].sentence);
    judge(told[0]);
    subject.tidy();
    CHECK(stage.place.names().empty());
    CHECK(stage.place.used() == unused);
    stage.place.clear();
  }
  if (!at) return false;
  (at->kind == Point::store ? tally.stores : tally.calls) += 1;
  return true;
}

}  // namespace

void at_every_point(const Stage& stage, const Subject& subject, const std::string& what,
                    const Rivals& rivals, const Judge& judge) {
  Tally tally;
  for (int n = 0; try_point(stage, subject, n, rivals, judge, tally); ++n) {
  }
  INFO(subject.name, " cannot do without ", subject.call, " and ", subject.stores_min, " stores");
  CHECK(tally.calls > 0);
  CHECK(tally.has_call);
  CHECK(tally.stores >= subject.stores_min);
  MESSAGE(subject.name, ", ", what, ": ", tally.calls, " points at calls, ", tally.stores,
          " at stores, and the end, tried");
}

}  // namespace rl::test
