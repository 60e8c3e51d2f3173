// Segments, for C.
#include <chrono>

#include "src/c_abi.hpp"

namespace rl::c {
namespace {

/// The structure of the first version; nobody has a smaller one.
constexpr std::size_t kOptionsMin = 64;
/// More than any version will have: a size beyond it is no size.
constexpr std::size_t kOptionsMax = 4'096;
static_assert(sizeof(librl_options_t) >= kOptionsMin && sizeof(librl_options_t) <= kOptionsMax);

bool are_zero(const char* from, const char* to) noexcept {
  return std::all_of(from, to, [](char byte) { return byte == 0; });
}

/// Reads options of any version; nothing where they have something that this one does not know.
std::optional<librl_options_t> known_options(const librl_options_t* from) noexcept {
  librl_options_t options = LIBRL_OPTIONS_INIT;
  if (from == nullptr) return options;
  const std::size_t size = from->size;
  if (size < kOptionsMin || size > kOptionsMax) return std::nullopt;
  const auto* const bytes = reinterpret_cast<const char*>(from);
  if (size > sizeof options && !are_zero(bytes + sizeof options, bytes + size)) return std::nullopt;
  std::memcpy(&options, from, std::min(size, sizeof options));
  const bool is_known = options.open <= LIBRL_OPEN_PRIVATE &&
                        options.on_failure <= LIBRL_FAIL_LOCAL &&
                        options.flags <= (LIBRL_NO_LABELS | LIBRL_ANY_OWNER | LIBRL_SMALL_PAGES) &&
                        options.clock <= LIBRL_CLOCK_MANUAL && options.reserved == 0;
  const bool makes_sense = options.on_failure == 0 || options.open == LIBRL_OPEN_OR_CREATE;
  return is_known && makes_sense ? std::optional(options) : std::nullopt;
}

SegmentOptions options_of(const librl_options_t& o) {
  constexpr ClockSource kClocks[] = {ClockSource::automatic, ClockSource::tsc,
                                     ClockSource::boottime, ClockSource::manual};
  SegmentOptions options;
  if (o.keys != 0) options.keys = o.keys;
  if (o.mode != 0) options.mode = o.mode;
  if (o.policies != 0) options.policies = o.policies;
  if (o.owner != nullptr) options.owner = o.owner;
  if (o.group != nullptr) options.group = o.group;
  options.labels = (o.flags & LIBRL_NO_LABELS) == 0;
  options.any_owner = (o.flags & LIBRL_ANY_OWNER) != 0;
  if ((o.flags & LIBRL_SMALL_PAGES) != 0) options.huge_pages = HugePages::never;
  options.clock = kClocks[o.clock];
  return options;
}

Segment open_or(const char* name, const librl_options_t& o) {
  constexpr OnFailure kOnFailure[] = {OnFailure::allow, OnFailure::deny, OnFailure::local};
  if (o.on_failure == LIBRL_FAIL_OPEN_CALL) return Segment::open_or_create(name, options_of(o));
  return Segment::open_or(name, options_of(o),
                          {.on_failure = kOnFailure[o.on_failure - LIBRL_FAIL_ALLOW],
                           .share = std::max<std::uint64_t>(o.share, 1)});
}

Segment open(const char* name, const librl_options_t& o) {
  switch (o.open) {
    case LIBRL_OPEN_EXISTING:
      return Segment::open(name, options_of(o));
    case LIBRL_CREATE:
      return Segment::create(name, options_of(o));
    case LIBRL_OPEN_READ_ONLY:
      return Segment::open_read_only(name, options_of(o));
    case LIBRL_OPEN_PRIVATE:
      return Segment::create_private(options_of(o));
    default:
      return open_or(name, o);
  }
}

}  // namespace
}  // namespace rl::c

using rl::c::fail;
using rl::c::guarded;

int librl_open(const char* name, const librl_options_t* options, librl_segment_t** segment) {
  if (segment == nullptr)
    return fail(LIBRL_EINVALID, "librl_open: no place for the handle; give the address of one");
  *segment = nullptr;
  const auto known = rl::c::known_options(options);
  if (!known) {
    return fail(LIBRL_EINVALID,
                "librl_open: options that this library does not know, or that exclude each other; "
                "begin with LIBRL_OPTIONS_INIT");
  }
  if (name == nullptr && known->open != LIBRL_OPEN_PRIVATE)
    return fail(LIBRL_EINVALID, "librl_open: no name; only a private segment has none");
  return rl::c::make_handle(segment, [&] { return librl_segment{rl::c::open(name, *known)}; });
}

void librl_close(librl_segment_t* segment) {
  delete segment;
}

int librl_remove(const char* name) {
  if (name == nullptr) return fail(LIBRL_EINVALID, "librl_remove: no name");
  return guarded([&] { return rl::Segment::remove(name) ? 1 : 0; });
}

const char* librl_path(const librl_segment_t* segment) {
  return segment != nullptr ? segment->segment.path().c_str() : "";
}

int64_t librl_now(const librl_segment_t* segment) {
  if (segment == nullptr) return LIBRL_EINVALID;
  return segment->segment.now().time_since_epoch().count();
}

int librl_advance_clock(librl_segment_t* segment, int64_t by_ns) {
  if (segment == nullptr) return fail(LIBRL_EINVALID, "librl_advance_clock: no segment");
  return guarded([&] {
    segment->segment.advance_clock(std::chrono::nanoseconds(by_ns));
    return 0;
  });
}

int librl_reset_all(librl_segment_t* segment, uint64_t* forgotten) {
  if (forgotten != nullptr) *forgotten = 0;
  if (segment == nullptr) return fail(LIBRL_EINVALID, "librl_reset_all: no segment");
  return guarded([&] {
    const std::uint64_t count = segment->segment.reset_all();
    if (forgotten != nullptr) *forgotten = count;
    return 0;
  });
}

int librl_is_without_segment(const librl_segment_t* segment) {
  if (segment == nullptr) return fail(LIBRL_EINVALID, "librl_is_without_segment: no segment");
  return guarded([&] { return segment->segment.fallback().active ? 1 : 0; });
}
