/// \file
/// Keys that somebody may have meant who typed another: above all the networks that an address lies in
/// (rl::AddressKey).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace rl::ctl {

/// Returns what a key may be kept as, the likeliest first, without the key itself; none for what is no
/// address. Brackets, a port, a zone, and blanks around are looked through; a prefix ("/56") is taken
/// at its word.
std::vector<std::string> spellings_of(std::string_view key);

}  // namespace rl::ctl
