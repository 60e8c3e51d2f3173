/// \file
/// The grammar of limits, for libFuzzer: what parses is printed, and what is printed parses to the
/// same limit and the same text; what does not parse says where, with a piece of the text itself.
#include <cstddef>
#include <string>
#include <string_view>

#include "tests/hostile/surface.hpp"

namespace {

using rl::hostile::demand;

void check_error(std::string_view text, std::string_view sentence) {
  demand(!sentence.empty(), "an error without a sentence");
  constexpr std::string_view kMark = ": cannot read on at ";
  const std::size_t at = sentence.find(kMark, text.size());
  if (at == sentence.npos) return;
  demand(sentence.substr(1, text.size()) == text, "the error does not begin with the text");
  std::string_view place = sentence.substr(at + kMark.size());
  if (place.starts_with("the end: ")) return;
  place.remove_prefix(1);
  const std::size_t end = place.rfind("\": ");
  demand(end != place.npos && text.ends_with(place.substr(0, end)),
         "the place of the error is not in the text");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const rl::Limit limit = rl::Limit::parse(text);
    const std::string printed = limit.to_string();
    demand(rl::Limit::parse(printed) == limit, "printed, it parses to another limit");
    demand(rl::Limit::parse(printed).to_string() == printed, "printed again, it is another text");
    demand(limit.interval().count() >= 1 && limit.burst() >= 1, "a limit of nothing");
  } catch (const rl::Error& e) {
    demand(e.code() == rl::Errc::bad_limit, "another error than bad_limit");
    check_error(text, e.what());
  }
  return 0;
}
