#include "examples/prefork_server/client_address.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <charconv>
#include <stdexcept>

namespace examples {
namespace {

namespace ip = boost::asio::ip;

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

rl::AddressKey key_of(const ip::address& address, rl::PrefixLengths prefix) {
  const ip::tcp::endpoint endpoint(address, 0);
  return rl::AddressKey(endpoint.data(), endpoint.size(), prefix);
}

}  // namespace

std::optional<ip::address> parse_address(std::string_view text) {
  boost::system::error_code error;
  const ip::address address = ip::make_address(std::string(text), error);
  if (error) return std::nullopt;
  if (address.is_v4()) return address;
  const ip::address_v6 v6 = address.to_v6();
  if (v6.is_v4_mapped()) return ip::make_address_v4(ip::v4_mapped, v6);
  return ip::address_v6(v6.to_bytes());
}

TrustedProxies::Bytes TrustedProxies::bytes_of(const ip::address& address) {
  return (address.is_v4() ? ip::make_address_v6(ip::v4_mapped, address.to_v4()) : address.to_v6())
      .to_bytes();
}

void TrustedProxies::add(std::string_view cidr) {
  const auto slash = cidr.find('/');
  const auto address = parse_address(cidr.substr(0, slash));
  const unsigned most = address && address->is_v6() ? 128 : 32;
  unsigned bits = most;
  bool good = address.has_value();
  if (slash != cidr.npos) {
    const char* end = cidr.data() + cidr.size();
    const auto read = std::from_chars(cidr.data() + slash + 1, end, bits);
    good = good && read.ec == std::errc() && read.ptr == end && bits <= most;
  }
  if (!good) {
    throw std::invalid_argument("'" + std::string(cidr) +
                                "' is not a network; write one such as 10.0.0.0/8 or fd00::/8");
  }
  networks_.push_back({bytes_of(*address), bits + 128 - most});
}

bool TrustedProxies::contains(const ip::address& address) const {
  const Bytes bytes = bytes_of(address);
  for (const Network& network : networks_) {
    unsigned bit = 0;
    const auto differs = [&] {
      return ((bytes[bit / 8] ^ network.bytes[bit / 8]) >> (7 - bit % 8) & 1) != 0;
    };
    while (bit < network.bits && !differs()) ++bit;
    if (bit == network.bits) return true;
  }
  return false;
}

rl::AddressKey client_key(const ip::address& peer, std::string_view forwarded_for,
                          const TrustedProxies& trusted, rl::PrefixLengths prefix) {
  if (!trusted.contains(peer)) return key_of(peer, prefix);
  while (!forwarded_for.empty()) {
    const auto comma = forwarded_for.rfind(',');
    const auto last = comma == forwarded_for.npos ? forwarded_for : forwarded_for.substr(comma + 1);
    const auto address = parse_address(trim(last));
    if (!address) break;
    if (!trusted.contains(*address)) return key_of(*address, prefix);
    forwarded_for = forwarded_for.substr(0, comma == forwarded_for.npos ? 0 : comma);
  }
  return key_of(peer, prefix);
}

}  // namespace examples
