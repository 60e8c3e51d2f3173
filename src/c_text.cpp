// Keys and response fields, for C: texts that go into a buffer of the program's.
#include <rl/http.hpp>
#include <rl/keys.hpp>

#include "src/c_abi.hpp"

namespace rl::c {
namespace {

static_assert(CompositeKey::kCapacity == LIBRL_KEY_MAX && sizeof(AddressKey) <= LIBRL_KEY_MAX);
static_assert(http::kFieldMax == LIBRL_FIELD_MAX);

/// Returns the size of a text that is there now, or the code of a buffer that cannot hold it.
int copied(std::string_view text, char* buffer, std::size_t size) noexcept {
  if (buffer == nullptr || text.size() > size) return LIBRL_EINVALID;
  return static_cast<int>(text.copy(buffer, size));
}

int copied_key(std::string_view key, char* buffer, std::size_t size) noexcept {
  return key.empty() ? LIBRL_EINVALID : copied(key, buffer, size);
}

/// Whether a field can say a policy's name.
bool is_name(const char* policy) noexcept {
  return policy != nullptr && std::strlen(policy) <= http::kPolicyNameMax;
}

/// Which limit of a limiter a decision was made by.
std::size_t index_of(const librl_limiter_t& limiter, std::uint64_t which) noexcept {
  return limiter.is_list() ? which : 0;
}

/// Writes a field about a limit: `write(limit, buffer)`, into a buffer that any value fits in.
template <class Write>
int field(const char* policy, const librl_limiter_t* limiter, std::size_t index, char* buffer,
          std::size_t size, Write&& write) noexcept {
  if (limiter == nullptr || index >= limiter->count || !is_name(policy)) return LIBRL_EINVALID;
  return guarded([&] {
    char value[http::kFieldMax];
    return copied(write((*limiter)[index].limit(), std::span<char>(value)), buffer, size);
  });
}

}  // namespace
}  // namespace rl::c

using rl::c::copied;
using rl::c::copied_key;

int librl_address_key(const char* text, size_t text_size, unsigned ipv4_prefix,
                      unsigned ipv6_prefix, char* buffer, size_t size) {
  const rl::AddressKey key(rl::c::key_of(text, text_size), {ipv4_prefix, ipv6_prefix});
  return copied_key(key, buffer, size);
}

int librl_sockaddr_key(const struct sockaddr* address, size_t address_size, unsigned ipv4_prefix,
                       unsigned ipv6_prefix, char* buffer, size_t size) {
  const rl::AddressKey key(address, address_size, {ipv4_prefix, ipv6_prefix});
  return copied_key(key, buffer, size);
}

int librl_composite_key(const librl_key_t* parts, size_t count, char* buffer, size_t size) {
  if (parts == nullptr) return LIBRL_EINVALID;
  rl::CompositeKey key;
  for (const librl_key_t& part : std::span(parts, count)) {
    const std::string_view text = rl::c::key_of(part.data, part.size);
    if (text.size() != part.size) return LIBRL_EINVALID;
    if (key.add(text).empty()) return LIBRL_EINVALID;
  }
  return copied_key(key, buffer, size);
}

int librl_retry_after(const librl_decision_t* decision, char* buffer, size_t size) {
  const std::optional<rl::Decision> told = rl::c::read(decision);
  if (!told) return LIBRL_EINVALID;
  char value[rl::http::kFieldMax];
  return copied(rl::http::retry_after(*told, value), buffer, size);
}

int librl_ratelimit_policy(const char* policy, const librl_limiter_t* limiter, size_t index,
                           char* buffer, size_t size) {
  return rl::c::field(policy, limiter, index, buffer, size,
                      [&](const rl::Limit& limit, std::span<char> value) {
                        return rl::http::ratelimit_policy(policy, limit, value);
                      });
}

int librl_ratelimit(const char* policy, const librl_limiter_t* limiter,
                    const librl_decision_t* decision, char* buffer, size_t size) {
  const std::optional<rl::Decision> told = rl::c::read(decision);
  if (limiter == nullptr || !told) return LIBRL_EINVALID;
  const bool has_which = decision->size >= offsetof(librl_decision_t, cost);
  const std::size_t index = rl::c::index_of(*limiter, has_which ? decision->which : 0);
  return rl::c::field(policy, limiter, index, buffer, size,
                      [&](const rl::Limit& limit, std::span<char> value) {
                        return rl::http::ratelimit(policy, limit, *told, value);
                      });
}
