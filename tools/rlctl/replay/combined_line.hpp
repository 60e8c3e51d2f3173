/// \file
/// A line of the combined or the common log format, as nginx and Apache write it.
#pragma once

#include <optional>
#include <string_view>

namespace rl::ctl {

/// The parts of a line, as they stand there: what is escaped stays so. What a line does not have is
/// empty.
struct CombinedLine {
  std::string_view vhost;    ///< Apache's %v:%p, where lines begin with it
  std::string_view address;  ///< or a name, where the server looks names up
  std::string_view ident;
  std::string_view user;
  std::string_view time;  ///< without its brackets
  std::string_view request;
  std::string_view status;
  std::string_view bytes;
  std::string_view referer;
  std::string_view user_agent;
  std::string_view forwarded;  ///< a third quoted part, which nginx's own example adds

  /// Reads a line; what comes behind the parts above is not looked at. Returns nothing where it is
  /// no such line.
  static std::optional<CombinedLine> from(std::string_view line) noexcept;

  /// Of "GET /search?q=x HTTP/1.1": "GET", "/search?q=x" and "/search".
  [[nodiscard]] std::string_view method() const noexcept;
  [[nodiscard]] std::string_view uri() const noexcept;
  [[nodiscard]] std::string_view path() const noexcept;
};

/// A field that can be asked for by name.
using CombinedField = std::string_view (*)(const CombinedLine&);
/// Returns the field of that name; null where there is none. nginx's names of variables are known,
/// too.
CombinedField combined_field(std::string_view name) noexcept;
/// Returns the names there are, for people.
std::string_view combined_field_names() noexcept;

}  // namespace rl::ctl
