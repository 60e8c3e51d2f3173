/// \file
/// The grammar of limits and of lists of them, for libFuzzer: what parses is printed, and what is
/// printed parses to the same limit and the same text; what does not parse says where, with a piece
/// of the text itself, or is one of the few sentences about what the numbers come to.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "tests/hostile/surface.hpp"

namespace {

using rl::hostile::demand;

/// The text as errors repeat it: what a terminal cannot show is written out.
std::string quoted(std::string_view text) {
  return fmt::format("{:?}", text);
}

/// Whether this is an error of a text that can be read to its end, or that is empty.
bool is_about_the_whole(std::string_view text, std::string_view sentence) {
  constexpr std::array<std::string_view, 12> kOfTheText{
      "a period of 0; ",         "a number in it is too large",
      "burst= is given twice; ", "when_full= is given twice; ",
      "queue= is given twice; ", "delay= is given twice; ",
      "lease= is given twice; ", "floor= is given twice; ",
      "shadow is given twice; ", "ban_after= is given twice; ",
      "ban= is given twice; ",   "ban_after= and ban= go together; "};
  constexpr std::array<std::string_view, 7> kOfTheLimit{
      "a limit of 0 calls; ",
      "a burst of 0 lets ",
      "a count above 9 x 10^18; ",
      "a period above 73 years; ",
      "a concurrency of 0 ",
      "the time in which denials lead to a ban is ",
      "a ban is a whole number of milliseconds, "};
  constexpr std::array<std::string_view, 10> kOfItsQuota{
      ": a delay above the queue; ",
      ": more permits than a key can have; ",
      ": a floor is from 1 to 99 percent ",
      ": a ban comes after 1 to ",
      ": a lease is a whole number of milliseconds, from 1s to 1d; ",
      ": the last of the queue would wait for more than 73 years; ",
      ": a window above 36 years; ",
      ": a window of that length counts at most ",
      ": tokens come in whole nanoseconds, which would change this rate by more than 0.1 %; ",
      ": a full burst would take more than 73 years to come back; "};
  const bool is_empty = text.find_first_not_of(' ') == text.npos;
  if (is_empty || sentence.starts_with("the limit is empty; "))
    return is_empty && sentence.starts_with("the limit is empty; ");
  if (const std::string head = quoted(text) + ": "; sentence.starts_with(head)) {
    sentence.remove_prefix(head.size());
    return std::any_of(kOfTheText.begin(), kOfTheText.end(),
                       [&](std::string_view words) { return sentence.starts_with(words); });
  }
  return std::any_of(kOfTheLimit.begin(), kOfTheLimit.end(),
                     [&](std::string_view words) { return sentence.starts_with(words); }) ||
         std::any_of(kOfItsQuota.begin(), kOfItsQuota.end(),
                     [&](std::string_view words) { return sentence.find(words) != sentence.npos; });
}

void check_error(std::string_view text, std::string_view sentence) {
  constexpr std::string_view kMark = ": cannot read on at ";
  const std::string whole = quoted(text);
  const std::size_t at = sentence.find(kMark, std::min(whole.size(), sentence.size()));
  if (at == sentence.npos)
    return demand(is_about_the_whole(text, sentence),
                  "an error without a place: " + std::string(sentence));
  demand(sentence.substr(0, at) == whole, "the error does not begin with the text");
  std::string_view place = sentence.substr(at + kMark.size());
  if (place.starts_with("the end: ")) return;
  const std::size_t end = place.rfind("\": ");
  demand(place.starts_with('"') && end != place.npos && whole.ends_with(place.substr(1, end)),
         "the place of the error is not in the text");
}

/// What parses is printed, and what is printed parses to the same; returns nothing for an error.
template <class What>
std::optional<What> round_trip(std::string_view text) {
  try {
    const What parsed = What::parse(text);
    const std::string printed = parsed.to_string();
    demand(What::parse(printed) == parsed, "printed, it parses to another limit");
    demand(What::parse(printed).to_string() == printed, "printed again, it is another text");
    return parsed;
  } catch (const rl::Error& e) {
    demand(e.code() == rl::Errc::bad_limit, "another error than bad_limit");
    check_error(text, e.what());
    return std::nullopt;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto list = round_trip<rl::Limits>(text);
  const auto limit = round_trip<rl::Limit>(text);
  demand(limit.has_value() == (list && list->size() == 1), "it is no list of one");
  if (!limit) return 0;
  demand((*list)[0] == *limit, "it is another list of one");
  demand(limit->algorithm() == rl::Algorithm::counter ||
             (limit->interval().count() >= 1 && limit->burst() >= 1),
         "a limit of nothing");
  demand(limit->floor_calls() <= limit->burst(), "a floor above all");
  return 0;
}
