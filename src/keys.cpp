#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include <rl/keys.hpp>

namespace rl {
namespace {

using std::size_t;

constexpr unsigned kIpv4Bits = 32;
constexpr unsigned kIpv6Bits = 128;

/// An address in network byte order; one of IPv4 has its bytes in the first four.
struct Address {
  std::array<std::uint8_t, 16> bytes{};
  bool is_ipv4 = false;
};

Address ipv4_address(const void* bytes) noexcept {
  Address address{.is_ipv4 = true};
  std::memcpy(address.bytes.data(), bytes, 4);
  return address;
}

/// The only way in for IPv6, so that no mapped IPv4 address stays one.
Address ipv6_address(const void* bytes) noexcept {
  constexpr std::uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  Address address;
  std::memcpy(address.bytes.data(), bytes, 16);
  if (std::memcmp(address.bytes.data(), kMapped, sizeof kMapped) != 0) return address;
  return ipv4_address(address.bytes.data() + sizeof kMapped);
}

std::optional<Address> address_from(std::string_view text) noexcept {
  // inet_pton wants a NUL at the end, and would take one within for it. What it accepts in glibc is
  // what we want: no leading zeros in decimals, no short forms, no blanks, no zones.
  char terminated[INET6_ADDRSTRLEN];
  if (text.size() >= sizeof terminated || text.find('\0') != text.npos) return std::nullopt;
  terminated[text.copy(terminated, text.size())] = '\0';
  in_addr ipv4;
  if (::inet_pton(AF_INET, terminated, &ipv4) == 1) return ipv4_address(&ipv4);
  in6_addr ipv6;
  if (::inet_pton(AF_INET6, terminated, &ipv6) == 1) return ipv6_address(&ipv6);
  return std::nullopt;
}

std::optional<Address> address_from(const ::sockaddr* address, size_t size) noexcept {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(address);
  sa_family_t family = AF_UNSPEC;
  if (address == nullptr || size < offsetof(sockaddr, sa_family) + sizeof family)
    return std::nullopt;
  std::memcpy(&family, bytes + offsetof(sockaddr, sa_family), sizeof family);
  if (family == AF_INET && size >= sizeof(sockaddr_in))
    return ipv4_address(bytes + offsetof(sockaddr_in, sin_addr));
  if (family == AF_INET6 && size >= sizeof(sockaddr_in6))
    return ipv6_address(bytes + offsetof(sockaddr_in6, sin6_addr));
  return std::nullopt;
}

/// Clears all bits behind the prefix.
void cut(Address& address, unsigned prefix) noexcept {
  for (unsigned i = 0; i < address.bytes.size(); ++i) {
    const unsigned kept = std::min(8U, prefix - std::min(prefix, 8 * i));
    address.bytes[i] &= static_cast<std::uint8_t>(0xff00U >> kept);
  }
}

char* write_number(char* at, unsigned number, int base) noexcept {
  return std::to_chars(at, at + 4, number, base).ptr;  // 255, ffff: never more than four
}

char* write_ipv4(char* at, const Address& address) noexcept {
  for (size_t i = 0; i < 4; ++i) {
    if (i != 0) *at++ = '.';
    at = write_number(at, address.bytes[i], 10);
  }
  return at;
}

/// RFC 5952, section 4. Not inet_ntop: that one writes ::1:2 as ::0.1.0.2.
char* write_ipv6(char* at, const Address& address) noexcept {
  unsigned groups[8];
  for (size_t i = 0; i < 8; ++i)
    groups[i] = static_cast<unsigned>(address.bytes[2 * i] << 8 | address.bytes[2 * i + 1]);
  // The longest run of two or more zeros becomes "::", the first of several.
  size_t begin = 8;
  size_t length = 1;
  for (size_t i = 0; i < 8; ++i) {
    size_t end = i;
    while (end < 8 && groups[end] == 0) ++end;
    if (end - i > length) {
      begin = i;
      length = end - i;
    }
  }
  for (size_t i = 0; i < 8; ++i) {
    if (i == begin) {
      *at++ = ':';
      *at++ = ':';
      i += length - 1;
      continue;
    }
    if (i != 0 && at[-1] != ':') *at++ = ':';
    at = write_number(at, groups[i], 16);
  }
  return at;
}

/// Writes the key of an address into `text`, which has room for any; returns its length, or 0.
size_t write_key(char* text, const std::optional<Address>& read, PrefixLengths lengths) noexcept {
  if (!read || lengths.ipv4 > kIpv4Bits || lengths.ipv6 > kIpv6Bits) return 0;
  Address address = *read;
  const unsigned prefix = address.is_ipv4 ? lengths.ipv4 : lengths.ipv6;
  cut(address, prefix);
  char* at = address.is_ipv4 ? write_ipv4(text, address) : write_ipv6(text, address);
  if (prefix != (address.is_ipv4 ? kIpv4Bits : kIpv6Bits)) {
    *at++ = '/';
    at = write_number(at, prefix, 10);
  }
  return static_cast<size_t>(at - text);
}

}  // namespace

// The longest: eight groups of four, seven colons, and "/127".
static_assert(sizeof(AddressKey) == 48 && 8 * 4 + 7 + 4 <= 47);
static_assert(sizeof(CompositeKey) == 256);

AddressKey::AddressKey(std::string_view text, PrefixLengths prefix) noexcept {
  size_ = static_cast<std::uint8_t>(write_key(text_, address_from(text), prefix));
}

AddressKey::AddressKey(const ::sockaddr* address, size_t size, PrefixLengths prefix) noexcept {
  size_ = static_cast<std::uint8_t>(write_key(text_, address_from(address, size), prefix));
}

CompositeKey& CompositeKey::add(std::string_view part) noexcept {
  if (failed_) return *this;
  const bool joined = size_ != 0;
  const auto marked = static_cast<size_t>(
      std::count_if(part.begin(), part.end(), [](char c) { return c == ',' || c == '\\'; }));
  const size_t bytes = (joined ? 1 : 0) + (part.empty() ? 2 : part.size() + marked);
  if (bytes > kCapacity - size_) return fail();
  char* at = text_ + size_;
  if (joined) *at++ = ',';
  if (part.empty()) {
    *at++ = '\\';
    *at++ = '-';
  }
  for (const char c : part) {
    if (c == ',' || c == '\\') *at++ = '\\';
    *at++ = c;
  }
  size_ = static_cast<std::uint8_t>(at - text_);
  return *this;
}

CompositeKey& CompositeKey::add_key(std::string_view part) noexcept {
  return part.empty() ? fail() : add(part);
}

CompositeKey& CompositeKey::fail() noexcept {
  size_ = 0;
  failed_ = true;
  return *this;
}

}  // namespace rl
