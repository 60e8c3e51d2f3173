#include <rl/keys.hpp>

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <type_traits>
#include <vector>

#include "tests/support.hpp"

namespace rl {
namespace {

using Parts = std::vector<std::string>;
using Bytes = std::vector<unsigned char>;  // of an address: 4 or 16, in network order

static_assert(std::is_trivially_copyable_v<AddressKey>);
static_assert(std::is_trivially_copyable_v<CompositeKey>);
static_assert(std::is_nothrow_constructible_v<AddressKey, std::string_view, PrefixLengths>);
static_assert(std::is_nothrow_constructible_v<AddressKey, const sockaddr*, std::size_t>);
static_assert(std::is_nothrow_default_constructible_v<CompositeKey>);
static_assert(std::is_nothrow_constructible_v<CompositeKey, std::string_view, AddressKey, int>);
// What looks like a part and is a slip.
static_assert(!std::is_convertible_v<std::string_view, AddressKey>);
template <class T>
concept Addable = requires(CompositeKey key, T part) {
  key.add(part);
};
static_assert(Addable<const char*> && Addable<std::string> && Addable<long> && Addable<AddressKey>);
static_assert(!Addable<char> && !Addable<bool> && !Addable<double> && !Addable<void*>);

std::string text_of(const AddressKey& key) {
  return std::string(key.view());
}

// --- addresses as text ---------------------------------------------------------------------------

TEST_CASE("an_address_is_read_in_any_spelling_and_written_in_one") {
  struct Row {
    std::string_view text;
    std::string_view host;  // at the full length
    std::string_view key;   // by default
  };
  constexpr Row kRows[] = {
      {"203.0.113.7", "203.0.113.7", "203.0.113.7"},
      {"0.0.0.0", "0.0.0.0", "0.0.0.0"},
      {"255.255.255.255", "255.255.255.255", "255.255.255.255"},
      {"2001:db8:1:2::7", "2001:db8:1:2::7", "2001:db8:1:2::/64"},
      {"2001:DB8:1:2:0:0:0:7", "2001:db8:1:2::7", "2001:db8:1:2::/64"},
      {"2001:0db8:0001:0002:0000:0000:0000:0007", "2001:db8:1:2::7", "2001:db8:1:2::/64"},
      {"2001:db8:1:2::0.0.0.7", "2001:db8:1:2::7", "2001:db8:1:2::/64"},
      {"::", "::", "::/64"},
      {"::1", "::1", "::/64"},
      {"1::", "1::", "1::/64"},
      {"fe80::1", "fe80::1", "fe80::/64"},
      // RFC 5952, 4.2.1 to 4.2.3: as short as can be, never for one group, the longest, the first
      {"2001:db8:0:0:0:0:2:1", "2001:db8::2:1", "2001:db8::/64"},
      {"2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1", "2001:db8:0:1::/64"},
      {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1", "2001:0:0:1::/64"},
      {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1", "2001:db8::/64"},
      {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8", "0:2:3:4::/64"},
      {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0", "1:2:3:4::/64"},
      {"1:0:0:4:5:6:0:0", "1::4:5:6:0:0", "1:0:0:4::/64"},
      {"0:1:0:1:0:1:0:1", "0:1:0:1:0:1:0:1", "0:1:0:1::/64"},
      // IPv4-mapped is IPv4
      {"::ffff:203.0.113.7", "203.0.113.7", "203.0.113.7"},
      {"::FFFF:cb00:7107", "203.0.113.7", "203.0.113.7"},
      {"0:0:0:0:0:ffff:203.0.113.7", "203.0.113.7", "203.0.113.7"},
      {"0000:0000:0000:0000:0000:ffff:203.000.113.7", "", ""},  // ... but not with such zeros
      {"0000:0000:0000:0000:0000:FFFF:255.255.255.255", "255.255.255.255", "255.255.255.255"},
      {"::ffff:0.0.0.0", "0.0.0.0", "0.0.0.0"},
      // what only looks like it is not
      {"::fffe:203.0.113.7", "::fffe:cb00:7107", "::/64"},
      {"::ffff:0:203.0.113.7", "::ffff:0:cb00:7107", "::/64"},
      {"1::ffff:203.0.113.7", "1::ffff:cb00:7107", "1::/64"},
      {"::203.0.113.7", "::cb00:7107", "::/64"},
      {"64:ff9b::203.0.113.7", "64:ff9b::cb00:7107", "64:ff9b::/64"},
      {"2002:cb00:7107::1", "2002:cb00:7107::1", "2002:cb00:7107::/64"},
      {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
       "ffff:ffff:ffff:ffff::/64"},
  };
  for (const Row& row : kRows) {
    CAPTURE(row.text);
    CHECK(AddressKey(row.text, {.ipv6 = 128}).view() == row.host);
    CHECK(AddressKey(row.text).view() == row.key);
    CHECK(AddressKey(row.text).empty() == row.key.empty());
  }
}

TEST_CASE("what_is_no_address_gives_the_empty_key") {
  using namespace std::string_view_literals;
  const std::string_view rows[] = {
      ""sv, " "sv, "localhost"sv, "1"sv, "1.2"sv, "1.2.3"sv, "1.2.3."sv, ".1.2.3"sv, "1..2.3"sv,
      "1.2.3.4."sv, "1.2.3.4.5"sv, "1.2.3.256"sv, "1.2.3.1000"sv, "1.2.3.-4"sv, "1.2.3.+4"sv,
      // the same address to some, another to others
      "010.0.0.1"sv, "10.0.0.01"sv, "00.0.0.0"sv, "0x7f.0.0.1"sv, "0x7f000001"sv, "2130706433"sv,
      // blanks and what stands around an address
      " 1.2.3.4"sv, "1.2.3.4 "sv, "1.2.3.4\n"sv, "\t::1"sv, "1.2.3.4:80"sv, "[::1]"sv, "[::1]:80"sv,
      "[1.2.3.4]"sv, "fe80::1%eth0"sv, "fe80::1%2"sv, "::1%"sv, "10.0.0.0/8"sv, "::/0"sv,
      "1.2.3.4/32"sv, "1.2.3.4, 5.6.7.8"sv, "\"::1\""sv,
      // NUL ends nothing
      "1.2.3.4\0"sv, "1.2.3.4\0.5"sv, "::1\0"sv, "\0::1"sv, "\0"sv,
      // colons and digits
      ":"sv, ":::"sv, "1"sv, "1:2:3:4:5:6:7"sv, "1:2:3:4:5:6:7:8:9"sv, "1:2:3:4:5:6:7:"sv,
      ":1:2:3:4:5:6:7"sv, ":1:2:3:4:5:6:7:8"sv, "1:2:3:4:5:6:7:8:"sv, "1::2::3"sv, "::1::"sv,
      "1:::2"sv, "1:2:3:4:5:6:7:8::"sv, "::1:2:3:4:5:6:7:8"sv, "1:2:3:4::5:6:7:8"sv, "00001::"sv,
      "12345::"sv, "1::g"sv, "1::-1"sv, "1::0x1"sv,
      // a tail of IPv4
      "::ffff:1.2.3"sv, "::ffff:1.2.3.4.5"sv, "::ffff:1.2.3.256"sv, "::ffff:010.0.0.1"sv,
      "::1.2.3.4:1"sv, "1.2.3.4::"sv, "1:2:3:4:5:6:7:1.2.3.4"sv, "::ffff:1.2.3.4/96"sv, "\xff"sv,
      "1.2.3.\xb2"sv};
  for (const std::string_view text : rows) {
    CAPTURE(std::string(text));
    const AddressKey key(text);
    CHECK(key.empty());
    CHECK_FALSE(static_cast<bool>(key));
    CHECK(key.view().empty());
    CHECK(key == AddressKey());
  }
  // Longer than any address, and with one in front: the longest spelling there is, and one more.
  const std::string longest = "0000:0000:0000:0000:0000:ffff:255.255.255.255";
  CHECK(AddressKey(longest));
  for (const char* more : {"0", " ", "x", "%1", ":80"}) CHECK(AddressKey(longest + more).empty());
  for (std::size_t zeros = 0; zeros < 300; ++zeros) {
    CHECK(AddressKey("1.2.3.4" + std::string(zeros, ' ') + "x").empty());
    CHECK(AddressKey(std::string(zeros, '0') + "1.2.3.4").empty() == (zeros != 0));
  }
}

TEST_CASE("a_prefix_longer_than_an_address_gives_the_empty_key_for_either_family") {
  for (const char* text : {"203.0.113.7", "2001:db8::1", "::ffff:203.0.113.7"}) {
    CAPTURE(text);
    CHECK(AddressKey(text, {.ipv4 = 32, .ipv6 = 128}));
    CHECK(AddressKey(text, {.ipv4 = 0, .ipv6 = 0}));
    for (const unsigned more : {1U, 7U, 8U, 95U, 96U, 224U, 0xffff'ff00U - 128}) {
      CAPTURE(more);
      CHECK(AddressKey(text, {.ipv4 = 32 + more}).empty());
      CHECK(AddressKey(text, {.ipv6 = 128 + more}).empty());
    }
    CHECK(AddressKey(text, {.ipv4 = ~0U}).empty());
    CHECK(AddressKey(text, {.ipv6 = ~0U}).empty());
  }
}

// --- every prefix, against bits in a row ---------------------------------------------------------

/// Bytes of an address in which groups of zeros and of ones are as frequent as others.
Bytes random_address(std::mt19937_64& random, std::size_t size) {
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; i += 2) {
    const auto kind = random() % 4;
    bytes[i] = kind < 2 ? 0 : kind == 2 ? 0xff : static_cast<unsigned char>(random());
    bytes[i + 1] = kind == 0   ? static_cast<unsigned char>(random() % 2)
                   : kind == 1 ? 0
                   : kind == 2 ? 0xff
                               : static_cast<unsigned char>(random());
  }
  return bytes;
}

bool is_mapped(const Bytes& bytes) {
  return bytes.size() == 16 && bytes[10] == 0xff && bytes[11] == 0xff &&
         std::all_of(bytes.begin(), bytes.begin() + 10, [](unsigned char b) { return b == 0; });
}

/// The network's bits, one after the other.
Bytes network_slowly(const Bytes& bytes, unsigned prefix) {
  Bytes network(bytes.size(), 0);
  for (unsigned bit = 0; bit < prefix; ++bit) {
    const unsigned mask = 0x80U >> bit % 8;
    if ((bytes[bit / 8] & mask) != 0)
      network[bit / 8] = static_cast<unsigned char>(network[bit / 8] | mask);
  }
  return network;
}

/// RFC 5952 by trying every way to write the address: the shortest wins, then the earliest "::".
std::string text_slowly(const Bytes& bytes) {
  std::string groups[8];
  if (bytes.size() == 4) {
    std::string text;
    for (const unsigned b : bytes) text += (text.empty() ? "" : ".") + std::to_string(b);
    return text;
  }
  for (std::size_t i = 0; i < 8; ++i) {
    char hex[8];
    std::snprintf(hex, sizeof hex, "%x", bytes[2 * i] * 256U + bytes[2 * i + 1]);
    groups[i] = hex;
  }
  const auto joined = [&](std::size_t from, std::size_t to) {
    std::string text;
    for (std::size_t i = from; i < to; ++i) text += (i == from ? "" : ":") + groups[i];
    return text;
  };
  std::string best = joined(0, 8);
  std::size_t best_run = 1;
  for (std::size_t from = 0; from < 8; ++from) {
    for (std::size_t to = from + 2; to <= 8; ++to) {
      const bool zeros = std::all_of(groups + from, groups + to, [](auto& g) { return g == "0"; });
      if (!zeros || to - from <= best_run) continue;
      best = joined(0, from) + "::" + joined(to, 8);
      best_run = to - from;
    }
  }
  return best;
}

std::string key_slowly(const Bytes& bytes, unsigned prefix) {
  const std::string text = text_slowly(network_slowly(bytes, prefix));
  return prefix == 8 * bytes.size() ? text : text + "/" + std::to_string(prefix);
}

PrefixLengths both(unsigned prefix) {
  return {.ipv4 = std::min(prefix, 32U), .ipv6 = prefix};
}

/// A sockaddr of any family, as a server has it.
struct Peer {
  sockaddr_storage storage{};
  socklen_t size = 0;
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

Peer peer_of(const Bytes& bytes) {
  Peer peer;
  if (bytes.size() == 4) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(0xabcd);
    std::memcpy(&in.sin_addr, bytes.data(), 4);
    std::memcpy(&peer.storage, &in, peer.size = sizeof in);
  } else {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(0xabcd);
    in.sin6_flowinfo = 0x1234'5678;
    in.sin6_scope_id = 3;
    std::memcpy(&in.sin6_addr, bytes.data(), 16);
    std::memcpy(&peer.storage, &in, peer.size = sizeof in);
  }
  return peer;
}

TEST_CASE("every_prefix_from_0_to_128_keeps_exactly_its_bits") {
  std::mt19937_64 random(test::seed());
  INFO("RL_TEST_SEED=", test::seed());
  for (int round = 0; round < 200; ++round) {
    const std::size_t size = round % 4 == 0 ? 4 : 16;
    const Bytes bytes = random_address(random, size);
    if (is_mapped(bytes)) continue;
    const std::string text = text_slowly(bytes);
    CAPTURE(text);
    const Peer peer = peer_of(bytes);
    for (unsigned prefix = 0; prefix <= 8 * size; ++prefix) {
      CAPTURE(prefix);
      const std::string key = key_slowly(bytes, prefix);
      REQUIRE(text_of(AddressKey(text, both(prefix))) == key);
      REQUIRE(text_of(AddressKey(peer.get(), peer.size, both(prefix))) == key);
    }
  }
}

TEST_CASE("two_addresses_share_a_key_if_and_only_if_they_agree_in_the_prefix") {
  std::mt19937_64 random(test::seed());
  INFO("RL_TEST_SEED=", test::seed());
  for (const std::size_t size : {std::size_t{4}, std::size_t{16}}) {
    Bytes bytes = random_address(random, size);
    bytes[0] = 0x20;  // and no mapped one near
    const Peer peer = peer_of(bytes);
    for (unsigned bit = 0; bit < 8 * size; ++bit) {
      Bytes other = bytes;
      other[bit / 8] = static_cast<unsigned char>(other[bit / 8] ^ 0x80U >> bit % 8);
      const Peer neighbour = peer_of(other);
      for (unsigned prefix = 0; prefix <= 8 * size; ++prefix) {
        CAPTURE(bit);
        CAPTURE(prefix);
        const bool same = AddressKey(peer.get(), peer.size, both(prefix)) ==
                          AddressKey(neighbour.get(), neighbour.size, both(prefix));
        REQUIRE(same == (bit >= prefix));
      }
    }
  }
}

TEST_CASE("an_ipv4_mapped_address_has_the_ipv4_prefix_and_its_key") {
  std::mt19937_64 random(test::seed());
  INFO("RL_TEST_SEED=", test::seed());
  for (int round = 0; round < 50; ++round) {
    const Bytes ipv4 = random_address(random, 4);
    Bytes mapped(10, 0);
    mapped.insert(mapped.end(), {0xff, 0xff});
    mapped.insert(mapped.end(), ipv4.begin(), ipv4.end());
    const Peer peer = peer_of(mapped);
    for (unsigned prefix = 0; prefix <= 32; ++prefix) {
      const PrefixLengths lengths{.ipv4 = prefix, .ipv6 = static_cast<unsigned>(random() % 129)};
      const std::string key = key_slowly(ipv4, prefix);
      REQUIRE(text_of(AddressKey(text_slowly(ipv4), lengths)) == key);
      REQUIRE(text_of(AddressKey("::ffff:" + text_slowly(ipv4), lengths)) == key);
      REQUIRE(text_of(AddressKey(text_slowly(mapped), lengths)) == key);
      REQUIRE(text_of(AddressKey(peer.get(), peer.size, lengths)) == key);
    }
  }
}

/// One of the ways to write the address: case, zeros in front, any "::", a decimal tail.
std::string any_spelling(const Bytes& bytes, std::mt19937_64& random) {
  std::vector<std::string> groups;
  for (std::size_t i = 0; i < 8; ++i) {
    const char* formats[] = {"%x", "%X", "%02x", "%03X", "%04x", "%04X"};
    char hex[8];
    std::snprintf(hex, sizeof hex, formats[random() % 6], bytes[2 * i] * 256U + bytes[2 * i + 1]);
    groups.emplace_back(hex);
  }
  if (random() % 3 == 0) {
    groups.resize(6);
    groups.push_back(text_slowly(Bytes(bytes.begin() + 12, bytes.end())));
  }
  const auto is_zero = [&](std::size_t i) {
    return groups[i].find_first_not_of('0') == std::string::npos;
  };
  std::vector<std::pair<std::size_t, std::size_t>> runs{{groups.size(), groups.size()}};
  for (std::size_t from = 0; from < groups.size(); ++from) {
    for (std::size_t to = from; to < groups.size() && is_zero(to); ++to)
      runs.emplace_back(from, to + 1);
  }
  const auto [from, to] = runs[random() % runs.size()];
  std::string text;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (i == from) text += "::";
    if (i >= from && i < to) continue;
    if (!text.empty() && text.back() != ':') text += ':';
    text += groups[i];
  }
  return text;
}

TEST_CASE("all_spellings_of_an_address_give_one_key") {
  std::mt19937_64 random(test::seed());
  INFO("RL_TEST_SEED=", test::seed());
  std::size_t different = 0;
  for (int round = 0; round < 300; ++round) {
    const Bytes bytes = random_address(random, 16);
    if (is_mapped(bytes)) continue;
    for (int spelling = 0; spelling < 20; ++spelling) {
      const std::string text = any_spelling(bytes, random);
      CAPTURE(text);
      REQUIRE(text_of(AddressKey(text, {.ipv6 = 128})) == text_slowly(bytes));
      different += text != text_slowly(bytes);
    }
  }
  CHECK(different > 2'000);  // the spellings are many
}

// --- sockaddr ------------------------------------------------------------------------------------

TEST_CASE("a_sockaddr_counts_by_its_address_alone") {
  const Bytes link_local{0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  Peer peer = peer_of(link_local);
  CHECK(text_of(AddressKey(peer.get(), peer.size, {.ipv6 = 128})) == "fe80::1");  // scope 3
  CHECK(text_of(AddressKey(peer.get(), peer.size)) == "fe80::/64");
  CHECK(text_of(AddressKey(peer.get(), sizeof peer.storage)) == "fe80::/64");
  peer = peer_of({203, 0, 113, 7});
  CHECK(text_of(AddressKey(peer.get(), peer.size)) == "203.0.113.7");
  CHECK(text_of(AddressKey(peer.get(), sizeof peer.storage)) == "203.0.113.7");
  CHECK(AddressKey(peer.get(), peer.size, {.ipv4 = 33}).empty());
  CHECK(AddressKey(peer.get(), peer.size, {.ipv6 = 129}).empty());
}

TEST_CASE("a_sockaddr_that_is_cut_or_no_address_gives_the_empty_key") {
  for (const Bytes& bytes : {Bytes{1, 2, 3, 4}, Bytes(16, 0x20)}) {
    const Peer peer = peer_of(bytes);
    for (socklen_t size = 0; size <= peer.size; ++size) {
      // A copy of just that many bytes, at an odd address: sanitizers see what is read beyond it.
      std::vector<char> cut(size + 1);
      std::memcpy(cut.data() + 1, &peer.storage, size);
      const AddressKey key(reinterpret_cast<const sockaddr*>(cut.data() + 1), size);
      CHECK(key.empty() == (size != peer.size));
    }
  }
  CHECK(AddressKey(nullptr, sizeof(sockaddr_in)).empty());
  sockaddr_un local{};
  local.sun_family = AF_UNIX;
  std::strcpy(local.sun_path, "/run/socket");
  CHECK(AddressKey(reinterpret_cast<const sockaddr*>(&local), sizeof local).empty());
  Peer peer = peer_of(Bytes(16, 0x20));
  for (const int family : {AF_UNSPEC, AF_UNIX, AF_NETLINK, AF_PACKET}) {
    peer.storage.ss_family = static_cast<sa_family_t>(family);
    CHECK(AddressKey(peer.get(), peer.size).empty());
  }
}

// --- several prefixes ----------------------------------------------------------------------------

TEST_CASE("several_prefixes_in_one_call_give_each_its_key_in_order") {
  const auto keys = address_keys(
      "2001:db8:1:2ff:5::7",
      {{.ipv6 = 128}, {}, {.ipv4 = 24, .ipv6 = 56}, {.ipv4 = 16, .ipv6 = 48}, {.ipv6 = 129}});
  static_assert(keys.size() == 5);
  CHECK(keys[0].view() == "2001:db8:1:2ff:5::7");
  CHECK(keys[1].view() == "2001:db8:1:2ff::/64");
  CHECK(keys[2].view() == "2001:db8:1:200::/56");
  CHECK(keys[3].view() == "2001:db8:1::/48");
  CHECK(keys[4].empty());

  const Peer peer = peer_of({203, 0, 113, 7});
  const auto [host, subnet, site] = address_keys(
      peer.get(), peer.size, {{.ipv6 = 128}, {.ipv4 = 24, .ipv6 = 64}, {.ipv4 = 16, .ipv6 = 48}});
  CHECK(host.view() == "203.0.113.7");
  CHECK(subnet.view() == "203.0.113.0/24");
  CHECK(site.view() == "203.0.0.0/16");

  for (const AddressKey& key : address_keys("nobody", {{.ipv6 = 128}, {.ipv6 = 64}}))
    CHECK(key.empty());
}

// --- composite keys ------------------------------------------------------------------------------

CompositeKey composite(const Parts& parts) {
  CompositeKey key;
  for (const std::string& part : parts) key.add(part);
  return key;
}

TEST_CASE("a_composite_key_reads_as_its_parts") {
  CHECK(CompositeKey("user:42", "GET", "/api/search?q=a b").view() ==
        "user:42,GET,/api/search?q=a b");
  CHECK(CompositeKey("user:42").view() == "user:42");
  CHECK(CompositeKey("a,b", "", "c").view() == R"(a\,b,\-,c)");
  CHECK(CompositeKey("", "").view() == R"(\-,\-)");
  CHECK(CompositeKey(R"(\-)").view() == R"(\\-)");
  CHECK(CompositeKey(R"(\)", ",").view() == R"(\\,\,)");
  CHECK(CompositeKey(std::string("j\xc3\xbcrgen\0", 8), "x").view() ==
        std::string_view("j\xc3\xbcrgen\0,x", 10));
  CHECK(CompositeKey("login", AddressKey("2001:db8:1:2::7")).view() == "login,2001:db8:1:2::/64");
  CHECK(CompositeKey(CompositeKey("a", "b"), "c").view() == R"(a\,b,c)");
  CHECK(CompositeKey("user", 42, -7, 3U).view() == "user,42,-7,3");
  CHECK(CompositeKey(std::numeric_limits<std::int64_t>::min(),
                     std::numeric_limits<std::uint64_t>::max(), static_cast<std::uint8_t>(65))
            .view() == "-9223372036854775808,18446744073709551615,65");
  CHECK(CompositeKey().add("a").add(1) == CompositeKey("a", "1"));
  CHECK(CompositeKey().empty());
  CHECK_FALSE(static_cast<bool>(CompositeKey()));
  CHECK(CompositeKey(""));
}

/// Reads a key as the comment at CompositeKey says. Nothing when it is none of those.
std::optional<Parts> parts_of(std::string_view key) {
  Parts parts;
  if (key.empty()) return parts;
  std::string part;
  bool written = false;  // something stands for this part already
  bool empty = false;
  for (std::size_t i = 0; i <= key.size(); ++i) {
    if (i == key.size() || key[i] == ',') {
      if (!written) return std::nullopt;
      parts.push_back(part);
      part.clear();
      written = empty = false;
      continue;
    }
    if (empty) return std::nullopt;
    if (key[i] != '\\') {
      part += key[i];
    } else if (++i == key.size()) {
      return std::nullopt;
    } else if (key[i] == '-' && !written) {
      empty = true;
    } else if (key[i] == ',' || key[i] == '\\') {
      part += key[i];
    } else {
      return std::nullopt;
    }
    written = true;
  }
  return parts;
}

TEST_CASE("no_two_short_lists_of_the_bytes_that_matter_share_a_key") {
  constexpr std::string_view kBytes(",\\-a\0", 5);
  Parts words{""};
  for (const char a : kBytes) {
    words.emplace_back(1, a);
    for (const char b : kBytes) words.push_back({a, b});
  }
  std::vector<Parts> lists{{}};
  for (std::size_t i = 0; i < lists.size(); ++i) {  // grows as it goes
    if (lists[i].size() == 3) break;
    for (const std::string& word : words) {
      Parts longer = lists[i];
      longer.push_back(word);
      lists.push_back(longer);
    }
  }
  REQUIRE(lists.size() == 1 + 31 + 31 * 31 + 31 * 31 * 31);
  std::set<std::string> seen;
  for (const Parts& parts : lists) {
    const CompositeKey key = composite(parts);
    REQUIRE(key.empty() == parts.empty());
    CAPTURE(std::string(key.view()));
    REQUIRE(seen.emplace(key.view()).second);
  }
}

TEST_CASE("the_parts_of_any_bytes_can_be_read_back_from_the_key") {
  std::mt19937_64 random(test::seed());
  INFO("RL_TEST_SEED=", test::seed());
  constexpr std::string_view kOften(",,\\\\--\0a", 8);
  std::size_t too_long = 0;
  for (int round = 0; round < 20'000; ++round) {
    Parts parts(random() % 7);
    std::size_t bytes = parts.empty() ? 0 : parts.size() - 1;
    for (std::string& part : parts) {
      const std::size_t size = random() % 4 != 0 ? random() % 5 : random() % 80;
      for (std::size_t i = 0; i < size; ++i) {
        part += random() % 2 == 0 ? kOften[random() % kOften.size()] : static_cast<char>(random());
        bytes += part.back() == ',' || part.back() == '\\' ? 2 : 1;
      }
      if (part.empty()) bytes += 2;
    }
    const CompositeKey key = composite(parts);
    if (bytes > CompositeKey::kCapacity) {
      REQUIRE(key.empty());
      ++too_long;
      continue;
    }
    REQUIRE(key.view().size() == bytes);
    const auto read = parts_of(key.view());
    REQUIRE(read.has_value());
    REQUIRE(*read == parts);
  }
  CHECK(too_long > 10);
  CHECK(too_long < 10'000);
}

TEST_CASE("a_key_of_254_bytes_is_whole_and_one_of_255_is_empty") {
  constexpr std::size_t kMost = CompositeKey::kCapacity;
  static_assert(kMost == 254);
  const std::string most(kMost, 'x');
  CHECK(CompositeKey(most).view() == most);
  CHECK(CompositeKey(most + "x").empty());
  CHECK(CompositeKey(std::string(100'000, 'x')).empty());
  // With what joins, with what is marked, and with an empty part at the end.
  CHECK(CompositeKey(most.substr(2), "y").view() == most.substr(2) + ",y");
  CHECK(CompositeKey(most.substr(1), "y").empty());
  CHECK(CompositeKey(most, "").empty());
  CHECK(CompositeKey(std::string(kMost / 2, ',')).view().size() == kMost);
  CHECK(CompositeKey(std::string(kMost / 2, '\\') + "x").empty());
  CHECK(CompositeKey(most.substr(3), "").view() == most.substr(3) + R"(,\-)");
  CHECK(CompositeKey(most.substr(2), "").empty());
  CHECK(CompositeKey(most.substr(3), 42).view() == most.substr(3) + ",42");
  CHECK(CompositeKey(most.substr(2), 42).empty());
  // Many parts.
  CompositeKey key;
  for (std::size_t parts = 1; parts <= 127; ++parts) {
    key.add("p");
    REQUIRE(key.view().size() == 2 * parts - 1);
  }
  CHECK(key.add("p").empty());
}

TEST_CASE("a_key_that_was_too_long_or_got_a_bad_part_stays_empty") {
  const std::string most(CompositeKey::kCapacity, 'x');
  CompositeKey key("a", most);
  CHECK(key.empty());
  CHECK(key.add("b").empty());
  CHECK(key.add("").empty());
  CHECK(key.add(AddressKey("::1")).empty());
  CHECK(CompositeKey("a", AddressKey("nobody")).empty());
  CHECK(CompositeKey(AddressKey("nobody"), "a").empty());
  CHECK(CompositeKey("a", AddressKey("nobody"), "a").empty());
  CHECK(CompositeKey("a", key, "b").empty());
  CHECK(CompositeKey("a", CompositeKey()).empty());
  CompositeKey copy = key;
  CHECK(copy.add("b").empty());
}

// --- in a limiter --------------------------------------------------------------------------------

TEST_CASE("a_limiter_counts_by_these_keys_shows_their_text_and_denies_the_empty_ones") {
  test::Scratch segment;
  Limiter api = segment->limiter("api", Limit::per_hour(2));
  CHECK(api.try_acquire(AddressKey("2001:db8:1:2::7")));
  CHECK(api.try_acquire(AddressKey("2001:DB8:1:2:ffff::8")));
  CHECK(api.try_acquire(AddressKey("2001:db8:1:2::9")).reason == Reason::limited);
  CHECK(api.try_acquire(AddressKey("2001:db8:1:3::7")));
  CHECK(api.try_acquire(CompositeKey("user:42", "/search")));
  CHECK(api.try_acquire(AddressKey("nobody")).reason == Reason::invalid);
  CHECK(api.try_acquire(CompositeKey(AddressKey("nobody"), "/search")).reason == Reason::invalid);
  CHECK(api.try_acquire(CompositeKey()).reason == Reason::invalid);
  std::vector<std::string> labels;
  segment->for_each_key([&](const KeyInfo& key) { labels.push_back(key.key.value_or("")); });
  std::sort(labels.begin(), labels.end());
  CHECK(labels ==
        std::vector<std::string>{"2001:db8:1:2::/64", "2001:db8:1:3::/64", "user:42,/search"});
}

}  // namespace
}  // namespace rl
