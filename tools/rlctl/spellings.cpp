#include "tools/rlctl/spellings.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include <rl/keys.hpp>

#include "tools/rlctl/address_text.hpp"

namespace rl::ctl {
namespace {

/// An address as it was typed, and how many of its bits count, if that was said.
struct Typed {
  std::string_view address;
  std::optional<unsigned> bits;
};

Typed read(std::string_view key) {
  Typed typed{without_blanks(key), {}};
  if (const std::size_t slash = typed.address.find('/'); slash != key.npos) {
    const std::string_view digits = typed.address.substr(slash + 1);
    unsigned bits = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
    if (error == std::errc() && end == digits.data() + digits.size()) typed.bits = bits;
    typed.address = typed.address.substr(0, slash);
  }
  typed.address = without_port(typed.address);
  typed.address = typed.address.substr(0, typed.address.find('%'));
  return typed;
}

}  // namespace

std::vector<std::string> spellings_of(std::string_view key) {
  const Typed typed = read(key);
  std::vector<std::string> spellings;
  const auto offer = [&](PrefixLengths prefix) {
    const AddressKey made(typed.address, prefix);
    const std::string_view text = made.view();
    const bool is_known = std::find(spellings.begin(), spellings.end(), text) != spellings.end();
    if (made && text != key && !is_known) spellings.emplace_back(text);
  };
  if (typed.bits) offer({*typed.bits, *typed.bits});
  offer({});  // as AddressKey makes it unless told otherwise
  for (const unsigned bits : {128U, 60U, 56U, 48U, 40U, 32U}) offer({32, bits});
  for (const unsigned bits : {24U, 16U, 8U}) offer({bits, 64});
  return spellings;
}

}  // namespace rl::ctl
