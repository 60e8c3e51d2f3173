#include "tools/rlctl/arguments.hpp"

#include "tools/rlctl/text.hpp"

namespace rl::ctl {

const std::string& Arguments::text(Arg arg) const noexcept {
  static const std::string empty;
  return has(arg) ? *texts_[index(arg)] : empty;
}

std::uint64_t Arguments::count(Arg arg, std::uint64_t otherwise, std::uint64_t most) const {
  return has(arg) ? parse_count(spelling(arg), text(arg), most) : otherwise;
}

}  // namespace rl::ctl
