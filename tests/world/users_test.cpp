// Other users and other time namespaces: what they may read, what they may write, and what it helps
// them to be there first. Needs root to become somebody else.

#include <fcntl.h>
#include <grp.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/rlctl.hpp"
#include "tests/world/world.hpp"

namespace rl::test {
namespace {

constexpr unsigned kNobody = 65'534;
constexpr unsigned kStranger = 65'533;

/// Becomes another user for the rest of the process, without the groups of the old one.
void become(unsigned id) {
  const gid_t group = id;
  if (::setgroups(1, &group) != 0 || ::setgid(id) != 0 || ::setuid(id) != 0) ::_exit(kNotAllowed);
}

/// Runs `body` as another user.
template <class Body>
int as(unsigned id, Body&& body) {
  return in_child([&] {
    become(id);
    body();
  });
}

/// A child's body: whatever else the rest does, `segment` cannot be used or removed.
void must_be_out_of_reach(const std::string& name) {
  refused(Errc::permission, [&] { (void)Segment::open(name); });
  refused(Errc::permission, [&] { (void)Segment::open_read_only(name); });
  refused(Errc::permission, [&] { (void)Segment::remove(name); });
  refused(Errc::exists, [&] { (void)Segment::create(name); });
}

TEST_CASE("a_segment_of_mode_0600_is_out_of_everybody_elses_reach") {
  Scratch segment;
  Limiter api = segment->limiter("api", Limit::per_day(10));
  CHECK(is_well(as(kNobody, [&] { must_be_out_of_reach(segment.name()); })));
  CHECK(api.try_acquire("k").remaining == 9);
}

TEST_CASE("who_may_read_sees_and_changes_nothing") {
  Scratch segment({.keys = 1'000, .mode = 0644});
  Limiter api = segment->limiter("api", Limit::per_day(10));
  CHECK(api.try_acquire("k", 4));
  CHECK(is_well(as(kNobody, [&] {
    refused(Errc::permission, [&] { (void)Segment::open(segment.name()); });
    refused(Errc::permission, [&] { (void)Segment::remove(segment.name()); });
    Segment seen = Segment::open_read_only(segment.name());
    Limiter limiter = seen.limiter("api");
    must(limiter.peek("k").remaining == 6, "it sees what is left");
    must(!limiter.try_acquire("k") && !limiter.reset("k"), "it decides nothing");
    refused(Errc::read_only, [&] { (void)seen.limiter("new", Limit::per_day(1)); });
  })));
  CHECK(api.peek("k").remaining == 6);
}

TEST_CASE("A_who_may_write_shares_the_limit_whatever_user_it_is") {
  if (::geteuid() != 0) {
    skip("needs root to become somebody else");
    return;
  }
  Scratch segment({.keys = 1'000, .mode = 0666});
  Limiter api = segment->limiter("api", Limit::per_day(100));
  // Each asks in turn, so each must be admitted its third: alone, one would be admitted them all.
  Shared<std::atomic<int>> turn;
  Shared<std::atomic<int>> admitted(3);
  const auto work = [&](int who, Limiter& limiter) {
    const auto is_my_turn = [&] { return turn[0] % 3 == who; };
    for (int i = 0; i < 40; ++i) {
      must(until(is_my_turn, [] { std::this_thread::yield(); }), "everybody asks in turn");
      admitted[static_cast<std::size_t>(who)] += limiter.try_acquire("k") ? 1 : 0;
      ++turn[0];
    }
  };
  Child nobody([&] {
    become(kNobody);
    Limiter own = Segment::open(segment.name()).limiter("api");  // root's is trusted
    work(0, own);
  });
  Child inherited([&] {
    become(kStranger);
    work(1, api);
  });
  Child roots([&] { work(2, api); });
  CHECK(nobody.wait() == 0);
  CHECK(inherited.wait() == 0);
  CHECK(roots.wait() == 0);
  CHECK(admitted[0] == 34);
  CHECK(admitted[1] == 33);
  CHECK(admitted[2] == 33);
}

/// Makes a file as another user where our segment is to be, and tries everything on it.
void check_that_a_planted_file_is_refused(const std::string& folder, unsigned mode,
                                          const std::function<void(const std::string&)>& plant) {
  CAPTURE(mode);
  const std::string path = folder + "/limits";
  CHECK(is_well(as(kStranger, [&] {
    plant(path);
    must(::chmod(path.c_str(), mode) == 0, "chmod");
  })));
  struct stat before {};
  if (::stat(path.c_str(), &before) != 0) return;  // not allowed to become somebody else
  const auto try_all = [&] {
    const auto any = [&](const std::function<void()>& call) {
      try {
        call();
      } catch (const Error& e) {
        must(e.code() == Errc::permission || e.code() == Errc::not_a_segment ||
                 e.code() == Errc::exists || e.code() == Errc::corrupt,
             e.what());
        return;
      }
      must(false, "a planted file is refused");
    };
    any([&] { (void)Segment::open(path); });
    any([&] { (void)Segment::open_read_only(path); });
    any([&] { (void)Segment::open_or_create(path); });
    any([&] { (void)Segment::create(path); });
  };
  CHECK(is_well(in_child(try_all)));     // as root
  CHECK(is_well(as(kNobody, try_all)));  // as a service
  struct stat after {};
  CHECK(::stat(path.c_str(), &after) == 0);
  CHECK(after.st_ino == before.st_ino);
  CHECK(after.st_size == before.st_size);
  CHECK(::unlink(path.c_str()) == 0);
}

TEST_CASE("a_file_that_somebody_planted_at_our_name_is_refused_and_left_alone") {
  if (::geteuid() != 0) {
    skip("needs root to become somebody else");
    return;
  }
  const Folder folder;
  ::chmod(folder.path().c_str(), 01777);  // as /dev/shm: sticky, and everybody may make files
  for (const unsigned mode : {0600U, 0644U, 0666U}) {
    check_that_a_planted_file_is_refused(folder.path(), mode, [](const std::string& path) {
      std::ofstream(path) << std::string(500'000, 'x');
    });
    check_that_a_planted_file_is_refused(
        folder.path(), mode, [](const std::string& path) { std::ofstream(path).close(); });
    // A whole segment, and writable for all: its owner could change it under us.
    check_that_a_planted_file_is_refused(folder.path(), mode, [](const std::string& path) {
      (void)Segment::create(path, {.keys = 100, .mode = 0666});
    });
  }
  MESSAGE("9 planted files tried");
}

TEST_CASE("in_a_sticky_folder_only_the_owner_takes_a_name_away") {
  if (::geteuid() != 0) {
    skip("needs root to become somebody else");
    return;
  }
  const Folder folder;
  ::chmod(folder.path().c_str(), 01777);
  const std::string path = folder.at("limits");
  CHECK(is_well(as(kNobody, [&] { (void)Segment::create(path, {.keys = 100, .mode = 0666}); })));
  CHECK(is_well(as(kStranger, [&] {
    must(::unlink(path.c_str()) != 0, "the folder is sticky");
    refused(Errc::permission, [&] { (void)Segment::remove(path); });
    refused(Errc::permission, [&] { (void)Segment::open(path); });  // nobody's, not root's
    must(bool(Segment::open(path, {.any_owner = true})
                  .limiter("api", Limit::per_day(10))
                  .try_acquire("k")),
         "when told to trust");
  })));
  // The attempt to remove it left no mark: it would still be rescued.
  CHECK(is_well(as(kNobody, [&] {
    Said said;
    listen(said);
    Limiter api = Segment::open(path).limiter("api");
    must(::unlink(path.c_str()) == 0, "by accident");
    must(until([&] { return said.lines > 0; },
               [&] { (void)api.try_acquire("other"), pause_a_little(); }),
         "noticed");
    must(is_there(path) && api.peek("k").remaining == 9, "rescued");
  })));
  CHECK(is_well(in_child([&] { must(Segment::remove(path), "root may remove it"); })));
}

TEST_CASE("a_segment_whose_owner_or_mode_changes_goes_on_for_those_who_have_it") {
  if (::geteuid() != 0) {
    skip("needs root to give a file away");
    return;
  }
  Scratch segment({.keys = 1'000, .mode = 0660, .owner = std::to_string(kNobody)});
  CHECK(is_well(as(kNobody, [&] {
    Said said;
    listen(said);
    Limiter api = Segment::open(segment.name()).limiter("api", Limit::per_day(1'000'000));
    must(bool(api.try_acquire("k")), "before");
    Shared<std::atomic<bool>> given_away;
    must(::chmod(segment.path().c_str(), 0) == 0, "shut");
    const auto start = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - start < std::chrono::milliseconds(1'200)) {
      must(bool(api.try_acquire("k")), "after");
      pause_a_little();
    }
    must(said.lines == 0, "the name still shows it");
    refused(Errc::permission, [&] { (void)Segment::open(segment.name()); });
    Child child([&] { must(bool(api.try_acquire("new")), "a child that can take no seat"); });
    must(child.wait() == 0, "a child");
  })));
  REQUIRE(::chown(segment.path().c_str(), kStranger, kStranger) == 0);
  REQUIRE(::chmod(segment.path().c_str(), 0666) == 0);
  CHECK(is_well(as(
      kNobody, [&] { refused(Errc::permission, [&] { (void)Segment::open(segment.name()); }); })));
}

/// Runs `body` in a child of a child that lives in a time namespace of its own.
template <class Body>
int in_time_namespace(Body&& body) {
  return in_child([&] {
    if (!enter_namespaces(CLONE_NEWTIME)) ::_exit(kNotAllowed);
    const int offsets = ::open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
    if (::write(offsets, "boottime 100000 0", 17) != 17) ::_exit(kNotAllowed);
    ::close(offsets);
    Child inside(std::forward<Body>(body));
    ::_exit(inside.wait());
  });
}

std::string time_namespace_inode() {
  struct stat st {};
  return ::stat("/proc/self/ns/time", &st) == 0 ? std::to_string(st.st_ino) : "unknown";
}

TEST_CASE("a_segment_of_another_time_namespace_is_refused_with_both") {
  Scratch segment({.keys = 100, .mode = 0600});
  Limiter api = segment->limiter("api", Limit::per_day(10));
  const std::string ours = time_namespace_inode();
  CHECK(is_well(in_time_namespace([&] {
    for (const bool writing : {false, true}) {
      const std::string sentence = refused(Errc::wrong_host, [&] {
        (void)(writing ? Segment::open(segment.name()) : Segment::open_read_only(segment.name()));
      });
      must(contains(sentence, ours) && contains(sentence, time_namespace_inode()), sentence);
    }
    refused(Errc::wrong_host, [&] { (void)Segment::open_or_create(segment.name()); });
    const std::string name = unique_name();  // a segment of its own is as good as any
    const RemoveAtEnd cleanup(name);
    Segment own = Segment::create(name, {.keys = 100});
    must(own.limiter("api", Limit::per_day(1)).try_acquire("k").reason == Reason::ok, "its own");
  })));
  CHECK(api.try_acquire("k").remaining == 9);
}

TEST_CASE("rlctl_from_another_time_namespace_is_refused_and_may_remove_when_told") {
  Scratch segment({.keys = 100});
  Limiter api = segment->limiter("api", Limit::per_day(10));
  CHECK(is_well(in_time_namespace([&] {
    for (const Words& words :
         {Words{"info", segment.name()}, Words{"acquire", segment.name(), "api", "k"},
          Words{"peek", segment.name(), "api", "k"}, Words{"clock", segment.name()},
          Words{"reset", segment.name(), "--all", "--force"}, Words{"rm", segment.name()}}) {
      const Ran ran = rlctl(words);
      must(ran.exit_code == 2 && contains(ran.err, "made in another time namespace"), ran.err);
    }
  })));
  CHECK(api.try_acquire("k").remaining == 9);
  CHECK(is_well(in_time_namespace([&] {
    const Ran ran = rlctl({"rm", segment.name(), "--force"});
    must(ran.exit_code == 0, ran.err);
  })));
}

}  // namespace
}  // namespace rl::test
