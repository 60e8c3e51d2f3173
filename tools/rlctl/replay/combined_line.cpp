#include "tools/rlctl/replay/combined_line.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include <rl/keys.hpp>

namespace rl::ctl {
namespace {

/// Takes what stands before the next `end` off a text, and that, too. Nothing where there is none.
std::optional<std::string_view> take_until(std::string_view& rest, char end) noexcept {
  const void* const found = std::memchr(rest.data(), end, rest.size());
  if (found == nullptr) return std::nullopt;
  const auto size = static_cast<std::size_t>(static_cast<const char*>(found) - rest.data());
  const std::string_view taken = rest.substr(0, size);
  rest.remove_prefix(size + 1);
  return taken;
}

/// Whether the sign behind the text is escaped: an odd number of backslashes stands before it.
bool ends_in_escape(std::string_view text) noexcept {
  const std::size_t last = text.find_last_not_of('\\');
  const std::size_t backslashes = text.size() - (last == text.npos ? 0 : last + 1);
  return backslashes % 2 == 1;
}

/// Takes a quoted part off a text; quotes within are \" or \x22.
std::optional<std::string_view> take_quoted(std::string_view& rest) noexcept {
  if (!rest.starts_with('"')) return std::nullopt;
  for (std::size_t end = 1;; ++end) {  // ends: it grows
    if (end > rest.size()) return std::nullopt;
    const void* const found = std::memchr(rest.data() + end, '"', rest.size() - end);
    if (found == nullptr) return std::nullopt;
    end = static_cast<std::size_t>(static_cast<const char*>(found) - rest.data());
    const std::string_view inside = rest.substr(1, end - 1);
    if (ends_in_escape(inside)) continue;
    rest.remove_prefix(end + 1);
    return inside;
  }
}

bool is_status(std::string_view text) noexcept {
  return text == "-" || (text.size() == 3 && std::all_of(text.begin(), text.end(), [](char c) {
                           return c >= '0' && c <= '9';
                         }));
}

/// Takes the parts before the time: ADDRESS IDENT USER, perhaps with a virtual host before it.
bool take_client(std::string_view& rest, CombinedLine& line) noexcept {
  const auto head = take_until(rest, '[');
  if (!head || !head->ends_with(' ')) return false;
  std::string_view before = head->substr(0, head->size() - 1);
  const auto address = take_until(before, ' ');
  const auto ident = take_until(before, ' ');
  if (!address || !ident || address->empty()) return false;
  line.address = *address;
  line.ident = *ident;
  line.user = before;
  if (before.find(' ') == before.npos) return true;
  // A fourth word: a user with a blank in the name, or a virtual host in the first place, which is
  // told by an address in the second; it may be an address itself.
  if (!AddressKey(*ident)) return true;
  line.vhost = *address;
  line.address = *ident;
  line.ident = *take_until(before, ' ');
  line.user = before;
  return true;
}

/// Takes what may stand behind the status: the size, and then quoted parts.
void take_rest(std::string_view rest, CombinedLine& line) noexcept {
  const auto quoted = [&]() -> std::string_view {
    if (rest.starts_with(' ')) rest.remove_prefix(1);
    return take_quoted(rest).value_or(std::string_view());
  };
  const std::size_t end = std::min(rest.find(' '), rest.size());
  line.bytes = rest.substr(0, end);
  rest.remove_prefix(end);
  line.referer = quoted();
  line.user_agent = quoted();
  line.forwarded = quoted();
}

/// Returns the words of a request; each is empty where there are fewer.
std::string_view word(std::string_view request, int which) noexcept {
  for (; which > 0; --which) {
    const std::size_t end = request.find(' ');
    if (end == request.npos) return {};
    request.remove_prefix(end + 1);
  }
  return request.substr(0, request.find(' '));
}

struct Named {
  std::string_view name;
  CombinedField field;
};

constexpr std::array<Named, 19> kFields{{
    {"address", [](const CombinedLine& l) { return l.address; }},
    {"user", [](const CombinedLine& l) { return l.user; }},
    {"host", [](const CombinedLine& l) { return l.vhost; }},
    {"method", [](const CombinedLine& l) { return l.method(); }},
    {"path", [](const CombinedLine& l) { return l.path(); }},
    {"uri", [](const CombinedLine& l) { return l.uri(); }},
    {"status", [](const CombinedLine& l) { return l.status; }},
    {"referer", [](const CombinedLine& l) { return l.referer; }},
    {"user_agent", [](const CombinedLine& l) { return l.user_agent; }},
    {"forwarded", [](const CombinedLine& l) { return l.forwarded; }},
    {"request", [](const CombinedLine& l) { return l.request; }},
    {"remote_addr", [](const CombinedLine& l) { return l.address; }},
    {"remote_user", [](const CombinedLine& l) { return l.user; }},
    {"server_name", [](const CombinedLine& l) { return l.vhost; }},
    {"request_method", [](const CombinedLine& l) { return l.method(); }},
    {"request_uri", [](const CombinedLine& l) { return l.uri(); }},
    {"http_referer", [](const CombinedLine& l) { return l.referer; }},
    {"http_user_agent", [](const CombinedLine& l) { return l.user_agent; }},
    {"http_x_forwarded_for", [](const CombinedLine& l) { return l.forwarded; }},
}};

}  // namespace

std::optional<CombinedLine> CombinedLine::from(std::string_view line) noexcept {
  CombinedLine parts;
  if (!take_client(line, parts)) return std::nullopt;
  const auto time = take_until(line, ']');
  if (!time || !line.starts_with(" \"")) return std::nullopt;
  line.remove_prefix(1);
  const auto request = take_quoted(line);
  if (!request || !line.starts_with(' ')) return std::nullopt;
  line.remove_prefix(1);
  parts.time = *time;
  parts.request = *request;
  parts.status = line.substr(0, line.find(' '));
  if (!is_status(parts.status)) return std::nullopt;
  line.remove_prefix(std::min(parts.status.size() + 1, line.size()));
  take_rest(line, parts);
  return parts;
}

std::string_view CombinedLine::method() const noexcept {
  return uri().empty() ? std::string_view() : word(request, 0);
}

std::string_view CombinedLine::uri() const noexcept {
  return word(request, 1);
}

std::string_view CombinedLine::path() const noexcept {
  const std::string_view whole = uri();
  return whole.substr(0, whole.find('?'));
}

CombinedField combined_field(std::string_view name) noexcept {
  const auto at = std::find_if(kFields.begin(), kFields.end(),
                               [&](const Named& named) { return named.name == name; });
  return at == kFields.end() ? nullptr : at->field;
}

std::string_view combined_field_names() noexcept {
  return "address, user, host, method, path, uri, status, referer, user_agent, forwarded, request";
}

}  // namespace rl::ctl
