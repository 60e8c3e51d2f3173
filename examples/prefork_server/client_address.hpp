/// \file
/// Who is asking: the peer, or the client that a trusted proxy names in X-Forwarded-For.
#pragma once

#include <array>
#include <boost/asio/ip/address.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <rl/keys.hpp>

namespace examples {

/// Reads an address as text; an IPv4 address in IPv6 clothes becomes IPv4, a scope goes.
std::optional<boost::asio::ip::address> parse_address(std::string_view text);

/// The networks whose word on X-Forwarded-For counts.
class TrustedProxies {
 public:
  /// Adds a network such as 10.0.0.0/8, fd00::/8 or a single address. Errors: invalid_argument.
  void add(std::string_view cidr);
  [[nodiscard]] bool contains(const boost::asio::ip::address& address) const;

 private:
  using Bytes = std::array<unsigned char, 16>;  // IPv4 as ::ffff:a.b.c.d
  struct Network {
    Bytes bytes;
    unsigned bits;
  };
  static Bytes bytes_of(const boost::asio::ip::address& address);
  std::vector<Network> networks_;
};

/// Returns the key of a request. `forwarded_for` is the whole of X-Forwarded-For, several fields
/// joined by commas.
///
/// Each proxy appends the address that it saw, so only what trusted proxies appended is true: we
/// walk from the right past them, and the first other address is the client. Everything to its left
/// is what the client claimed. Where the walk finds no such address, or something that is none, the
/// key is the peer.
rl::AddressKey client_key(const boost::asio::ip::address& peer, std::string_view forwarded_for,
                          const TrustedProxies& trusted, rl::PrefixLengths prefix);

}  // namespace examples
