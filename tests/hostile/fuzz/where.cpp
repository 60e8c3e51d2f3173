/// \file
/// The conditions of `rlctl list --where`, for libFuzzer: what can be read holds or does not, put in
/// parentheses it is the same, with "not" before them the opposite; what cannot be read says where
/// in the text, on one line.
#include <array>
#include <charconv>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include <rl/error.hpp>

#include "tests/hostile/surface.hpp"
#include "tools/rlctl/text.hpp"
#include "tools/rlctl/where.hpp"

namespace {

using rl::hostile::demand;

std::array<rl::KeyInfo, 4> rows() {
  std::array<rl::KeyInfo, 4> rows;
  rows[1].policy = "api";
  rows[1].key = "user:42";
  rows[1].allowed_count = rows[1].denied_count = 150;
  rows[1].limit = 200;
  rows[1].reset_after = std::chrono::minutes(5);
  rows[2].policy = rows[2].key.emplace("\xff\0'\"\\*\x1b", 7);
  rows[2].key_truncated = true;
  rows[2].part = rl::SlotPart::permit;
  rows[2].holder_pid = 42;
  rows[3].key = std::string(31, 'a');
  rows[3].standing = rl::Standing::ban;
  rows[3].until = rl::Instant::max();
  return rows;
}

void check_error(std::string_view text, std::string_view sentence) {
  constexpr std::string_view kBegin = "--where: at ";
  demand(sentence.starts_with(kBegin), "an error without a place: " + std::string(sentence));
  std::size_t at = 0;
  const std::string_view place = sentence.substr(kBegin.size());
  const auto [end, error] = std::from_chars(place.data(), place.data() + place.size(), at);
  demand(error == std::errc() && *end == ':', "an error without a place");
  demand(at >= 1 && at <= text.size() + 1, "the place of the error is not in the text");
  demand(sentence.size() < 600 && rl::ctl::escape(sentence).size() < 1'200, "no short sentence");
  demand(sentence.find('\n') == sentence.npos, "an error of several lines");
}

std::optional<rl::ctl::Where> read(std::string_view text) {
  try {
    return rl::ctl::Where(text);
  } catch (const rl::Error& e) {
    demand(e.code() == rl::Errc::bad_option, "another error than bad_option");
    check_error(text, e.what());
    return std::nullopt;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto where = read(text);
  const auto same = read('(' + text + ')');
  const auto opposite = read("not (" + text + ')');
  demand(!same || where, "only in parentheses it can be read");
  demand(!opposite || same, "only after a not it can be read");
  if (!where || !opposite) return 0;  // what is nested to the last level has no room for more
  for (const rl::KeyInfo& row : rows()) {
    demand((*where)(row) == (*same)(row), "in parentheses it is something else");
    demand((*where)(row) != (*opposite)(row), "and its opposite are both true");
  }
  return 0;
}
