/// \file
/// Keys for what people limit by: network addresses, and several things at once.
///
///     api.try_acquire(rl::AddressKey("::ffff:203.0.113.7"));        // 203.0.113.7
///     api.try_acquire(rl::AddressKey("2001:DB8:1:2::7"));           // 2001:db8:1:2::/64
///     api.try_acquire(rl::CompositeKey("user:42", "/api/search"));  // user:42,/api/search
///
/// A key is its text, which is also the label that rlctl shows (all of it up to 31 bytes, else the first 23). Both
/// types hold it in themselves and convert to std::string_view.
///
/// Errors: nothing here throws. What makes no key gives the empty one, which converts to false and
/// which a Limiter denies with Reason::invalid.
///
/// Progress: no allocation, no system call, no lock.
///
/// Threads: a key is a value; several threads may read one, not change it.
#ifndef RL_KEYS_HPP
#define RL_KEYS_HPP

#include <array>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <rl/export.hpp>

struct sockaddr;

namespace rl {

/// How many leading bits of an address make its key, from 0 to 32 and from 0 to 128. Addresses that
/// agree in these share the key.
///
/// The default of IPv6 is /64, one subnet (RFC 4291, section 2.5.4): any host may take any address
/// of its own, so a limit by /128 is none. Who has several subnets has mostly a /56 or a /48 (RFC
/// 6177).
struct PrefixLengths {
  unsigned ipv4 = 32;
  unsigned ipv6 = 64;
};

/// The key of an IP address, or of the network that it lies in.
///
/// All spellings of one network give one key, different networks give different ones. Its text is
/// that of RFC 5952, section 4, all in hexadecimal, with "/LENGTH" behind it unless the prefix is
/// the whole address: "203.0.113.7", "203.0.113.0/24", "2001:db8:1:2::/64", "2001:db8::1". At most
/// 43 bytes.
///
/// An IPv4-mapped address (::ffff:a.b.c.d; RFC 4291, section 2.5.5.2), as which a socket for both
/// families reports its IPv4 peers, is that IPv4 address. No other IPv6 address that has one within
/// is: with /64, all that come through one NAT64 (64:ff9b::/96) share a key.
class RL_EXPORT AddressKey {
 public:
  /// Makes the empty key.
  constexpr AddressKey() noexcept = default;

  /// Reads an address of RFC 4291, section 2.2, or four decimal numbers with dots.
  ///
  /// Errors: the empty key for anything else, and for a prefix length above 32 or 128, whichever
  /// family the address has. Anything else is also: blanks, brackets, a port, a zone
  /// ("fe80::1%eth0"), a prefix ("10.0.0.0/8"), a decimal with a leading zero ("010.0.0.1": some
  /// read it as octal), fewer than four of them.
  explicit AddressKey(std::string_view text, PrefixLengths prefix = {}) noexcept;

  /// Takes the address of a sockaddr_in or a sockaddr_in6, as accept() and getpeername() fill them
  /// with `size` bytes; it need not be aligned. Port, flow and scope do not count: the same
  /// link-local address on two links is one key.
  ///
  /// Errors: the empty key for a null pointer, another family, too small a size, and a prefix
  /// length as above. (A peer on a Unix socket has no address; limit it by its user.)
  explicit AddressKey(const ::sockaddr* address, std::size_t size,
                      PrefixLengths prefix = {}) noexcept;

  [[nodiscard]] constexpr bool empty() const noexcept { return size_ == 0; }
  constexpr explicit operator bool() const noexcept { return !empty(); }

  /// Returns the text; it lives in the key, and no longer.
  [[nodiscard]] constexpr std::string_view view() const noexcept { return {text_, size_}; }
  constexpr operator std::string_view() const noexcept { return view(); }

  friend constexpr bool operator==(const AddressKey& a, const AddressKey& b) noexcept {
    return a.view() == b.view();
  }

 private:
  char text_[47] = {};
  std::uint8_t size_ = 0;
};

/// Makes several keys of one address, one for each prefix, in their order:
///
///     auto [host, subnet, site] =
///         rl::address_keys(peer, {{.ipv6 = 128}, {.ipv6 = 64}, {.ipv4 = 24, .ipv6 = 48}});
///
/// Ask each of a policy of its own: a key may come twice (above, an IPv4 host is its own subnet),
/// and wider networks want higher limits. What an earlier policy has charged stays so when a later
/// one denies.
///
/// Errors: as those of AddressKey, for each key.
template <std::size_t N>
[[nodiscard]] std::array<AddressKey, N> address_keys(std::string_view text,
                                                     const PrefixLengths (&prefixes)[N]) noexcept {
  std::array<AddressKey, N> keys;
  for (std::size_t i = 0; i < N; ++i) keys[i] = AddressKey(text, prefixes[i]);
  return keys;
}

/// The same for a sockaddr of `size` bytes.
template <std::size_t N>
[[nodiscard]] std::array<AddressKey, N> address_keys(const ::sockaddr* address, std::size_t size,
                                                     const PrefixLengths (&prefixes)[N]) noexcept {
  std::array<AddressKey, N> keys;
  for (std::size_t i = 0; i < N; ++i) keys[i] = AddressKey(address, size, prefixes[i]);
  return keys;
}

/// What CompositeKey writes in decimal: any whole number, but no character and no bool.
template <class T>
concept KeyNumber = std::integral<T> && sizeof(T) <= 8 && !std::same_as<T, bool> &&
                    !std::same_as<T, char> && !std::same_as<T, wchar_t> &&
                    !std::same_as<T, char8_t> && !std::same_as<T, char16_t> &&
                    !std::same_as<T, char32_t>;

/// The key of several parts at once, such as user and route, in their order.
///
/// The parts are joined with ','. Within a part a ',' becomes "\,", a '\' becomes "\\", and a part
/// without any bytes is written "\-". So ("user:42", "GET") is "user:42,GET", and ("a,b", "", "c")
/// is "a\,b,\-,c".
///
/// Different lists of parts that fit never give the same key (it is injective), whatever bytes they
/// hold. For the parts can be read back: whoever reads a key from the left takes '\' with the byte
/// behind it as one sign and any other byte as one sign. Each '\' was written with that byte, so
/// reading keeps in step with writing, and a ',' that is a sign of its own is one that joins, as
/// one from a part was written behind a '\'. Between two of these stands one part: "\-" if it is
/// empty, which nothing else writes; else its bytes, each as itself or behind a '\'. No part is
/// written as nothing, so no parts at all give the empty key, and nothing else that fits does.
///
/// That holds among composite keys: do not ask one policy for composite keys and for others. The
/// number 42 and the text "42" are the same part.
///
/// Errors: a list that takes more than kCapacity bytes gives the empty key, never a part of the
/// key. So does a part that is an empty AddressKey or CompositeKey: what was wrong there stays
/// wrong here. Either stays so, whatever is added later.
class RL_EXPORT CompositeKey {
 public:
  /// The longest text, in bytes.
  static constexpr std::size_t kCapacity = 254;

  /// Makes the empty key, to which parts can be added.
  CompositeKey() noexcept = default;

  /// Makes the key of these parts, each of which add() takes.
  template <class... Parts>
  explicit CompositeKey(const Parts&... parts) noexcept {
    (add(parts), ...);
  }

  /// Adds a part: any bytes, an address, a key as a whole, or a number.
  CompositeKey& add(std::string_view part) noexcept;
  CompositeKey& add(const AddressKey& part) noexcept { return add_key(part.view()); }
  CompositeKey& add(const CompositeKey& part) noexcept { return add_key(part.view()); }
  template <KeyNumber T>
  CompositeKey& add(T part) noexcept {
    char digits[20];  // of -2^63 and of 2^64 - 1
    const auto written = std::to_chars(digits, digits + sizeof digits, part);
    return add(std::string_view(digits, static_cast<std::size_t>(written.ptr - digits)));
  }

  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  explicit operator bool() const noexcept { return !empty(); }

  /// Returns the text; it lives in the key until the next add(), and no longer.
  [[nodiscard]] std::string_view view() const noexcept { return {text_, size_}; }
  operator std::string_view() const noexcept { return view(); }

  friend bool operator==(const CompositeKey& a, const CompositeKey& b) noexcept {
    return a.view() == b.view();
  }

 private:
  CompositeKey& add_key(std::string_view part) noexcept;
  CompositeKey& fail() noexcept;

  char text_[kCapacity] = {};
  std::uint8_t size_ = 0;
  bool failed_ = false;  ///< for good; the size is 0 then
};

}  // namespace rl

#endif
