#include "tools/rlctl/arguments.hpp"

#include <fmt/format.h>

#include "tools/rlctl/text.hpp"

namespace rl::ctl {

void Arguments::set(Arg arg, Values values) {
  std::string text = fmt::format("{}", fmt::join(values, " "));
  given_[index(arg)] = Given{std::move(values), std::move(text)};
}

const std::string& Arguments::text(Arg arg) const noexcept {
  static const std::string empty;
  return has(arg) ? given_[index(arg)]->text : empty;
}

const Arguments::Values& Arguments::values(Arg arg) const noexcept {
  static const Values none;
  return has(arg) ? given_[index(arg)]->values : none;
}

std::uint64_t Arguments::count(Arg arg, std::uint64_t otherwise, std::uint64_t most) const {
  return has(arg) ? parse_count(spelling(arg), text(arg), most) : otherwise;
}

}  // namespace rl::ctl
