/// \file
/// State that lasts: what the keys of a segment owe as text, and back.
///
///     std::ofstream file("web.dump");
///     rl::Dump::write(segment, [&](std::string_view text) { file << text; });
///     ...
///     rl::Dump dump = rl::Dump::read(source);           // all of it, checked
///     rl::LoadReport report = dump.create("web", dump.options());
///
/// `rlctl dump` and `rlctl load` are for a reboot, another size, another layout, another machine.
///
/// # The text
///
/// Lines of JSON, an object each: what the segment was, a line for each policy, a line for each key
/// that owes something, stands apart or was denied, and the number of lines. Every line ends with a checksum of itself and all
/// lines before it, so a dump that was cut short or edited is refused whole, with the line. (It
/// finds accidents. Who wants to forge a dump can; then it is refused, or loads what it says.)
///
/// Times are relative: who owes 3 s at the dump owes 3 s at the load, however long that took, as
/// nobody knows whether the clocks of the two may be compared. Counts of a window count in the
/// window of the load. So nobody gets more than the limit says; some wait longer than they had to.
///
/// Overrides, bans and allowed keys come along; a ban goes on for as long as was left of it. Of a key
/// that stands apart the text has to be known whole, or the secret to be the same. Who made them and
/// why is in the journal of the segment that was dumped only.
///
/// So does what is remembered of a key under a limit that bans: its denials, and the level of its next
/// ban, for as long as was left. Its slot is not the key's, but is found as the key's is.
///
/// A trial goes on beside a policy that the load makes: its limit. What it has counted, and what its
/// keys have used of it, begin anew. Where the segment had the policy, its trials are as they were.
///
/// That limits are off is kept by create(): a reboot does not switch them on. load() leaves the
/// switch of a segment as it is, as somebody who uses it has set it there; LoadReport::was_off tells.
///
/// Permits are not in it: who held them is gone, or still holds them in the segment that was dumped.
/// Nor are keys that owe nothing, which are as good as never seen.
///
/// A dump has the keys as text and the segment's secret: keep it as private as the segment. With
/// the secret whoever makes a segment anew finds keys whose text is not known whole: those above 31
/// bytes in one of any size, and those without a label in one of the same size.
#ifndef RL_DUMP_HPP
#define RL_DUMP_HPP

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include <rl/error.hpp>
#include <rl/export.hpp>
#include <rl/segment.hpp>

namespace rl {

struct DumpContents;

/// What was written.
struct DumpReport {
  std::uint64_t lines = 0;
  std::uint64_t policies = 0;
  std::uint64_t keys = 0;       ///< that owe something
  std::uint64_t idle = 0;       ///< left out: they owe nothing
  std::uint64_t standings = 0;  ///< overrides, bans and allowed keys
  std::uint64_t conducts = 0;   ///< keys whose denials or bans for them are remembered
  std::uint64_t trials = 0;     ///< limits on trial
  bool off = false;             ///< limits are off
  std::uint64_t permits = 0;    ///< left out: permits that are out
  std::uint64_t unreadable =
      0;  ///< left out: of policies that are damaged, or that this library does not know
};

/// What became of the keys of a dump.
struct LoadReport {
  std::uint64_t policies = 0;   ///< made; those that the segment had stand
  std::uint64_t differing = 0;  ///< of those that stand: with another limit than in the dump
  std::uint64_t keys = 0;       ///< loaded
  std::uint64_t standings = 0;  ///< overrides, bans and allowed keys, loaded
  std::uint64_t conducts = 0;   ///< keys whose denials or bans for them are remembered, loaded
  std::uint64_t trials = 0;     ///< limits on trial, begun anew
  bool was_off = false;  ///< limits were off: after create() they are again, load() changes nothing
  std::uint64_t idle = 0;  ///< owe nothing under the limit of the segment
  /// Lost: their lists are full, and a load evicts nobody; or have too many that stand apart.
  std::uint64_t no_room = 0;
  std::uint64_t unknown = 0;  ///< left out: see LoadOptions::partial
  /// Returns whether every debt of the dump is in the segment.
  [[nodiscard]] bool is_whole() const noexcept { return no_room == 0 && unknown == 0; }
};

struct LoadOptions {
  /// Leave keys out that cannot be placed, as their text is not known whole, instead of refusing
  /// the dump.
  bool partial = false;
};

/// A dump that was read and checked. Cheap to copy; immutable.
///
/// Threads and processes: any. A dump is taken and loaded beside processes that decide. Each key in
/// it is what it was at one instant, keys are not all of the same one; loading a key is one
/// compare-and-swap, as any call.
class RL_EXPORT Dump {
 public:
  /// Receives the text, some ten thousand bytes at a time. What it throws ends the dump.
  using Sink = std::function<void(std::string_view)>;
  /// Fills the beginning of its argument; returns how many bytes, 0 at the end.
  using Source = std::function<std::size_t(std::span<char>)>;

  /// Writes what a segment holds; needs no more than read permission, and memory for a few lines.
  /// Errors: wrong_host when this process's clock is not the segment's.
  static DumpReport write(const Segment& segment, const Sink& sink);

  /// Reads all of a dump and checks it. Errors: corrupt, with the number of the line and what is
  /// wrong there; wrong_version for a later format. Those of earlier versions are read.
  static Dump read(const Source& source);

  /// Returns the options by which a segment like the dumped one is made. Its owner, group and mode
  /// are not in the dump. A clock that was the TSC is automatic, as this may be another machine.
  [[nodiscard]] SegmentOptions options() const;

  /// Makes a segment with the secret and the contents of the dump; it appears under its name when
  /// all is loaded. Errors: as Segment::create, and as load.
  LoadReport create(std::string_view name, const SegmentOptions& options,
                    LoadOptions load = {}) const;

  /// Loads into a segment: makes the policies that are not there, and replaces what the keys of the
  /// dump owe. Under a policy that has another limit in the segment a debt becomes as many tokens
  /// there. Keys that the dump does not name stay.
  ///
  /// Errors, all before anything is changed: read_only; too_many when the policies have no room;
  /// bad_limit for a policy that gives permits here and took calls there, or the reverse;
  /// bad_option for keys that cannot be placed, with their number.
  LoadReport load(Segment& segment, LoadOptions options = {}) const;

 private:
  explicit Dump(std::shared_ptr<const DumpContents> contents) noexcept
      : contents_(std::move(contents)) {}
  std::shared_ptr<const DumpContents> contents_;
};

}  // namespace rl

#endif
