/// \file
/// Rows of peers that are asked over a wire, each with librl's figure from the same turns.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/common.hpp"
#include "bench/loops.hpp"
#include "bench/peers/server.hpp"
#include "bench/scratch.hpp"
#include "bench/steps.hpp"

namespace rl::bench {

/// Somebody who does so many steps and returns what all of them took.
struct Turn {
  std::string name;
  std::uint64_t steps;
  std::function<double(std::uint64_t steps, unsigned round)> run;  ///< in nanoseconds
};

/// How many replies are waited for at once.
inline constexpr std::uint64_t kOneByOne = 1;
inline constexpr std::uint64_t kInARow = 32;

/// Which keys a row is about.
struct KeySet {
  std::string name;
  std::uint32_t count;
};

/// What is asked for a key, and how the answer to it begins and ends.
struct Question {
  std::string before;
  std::string after;
  std::string good;  ///< empty for a number
  std::string end;

  [[nodiscard]] bool is_answered_by(std::string_view answer) const {
    if (!good.empty()) return answer.starts_with(good);
    return !answer.empty() && answer[0] >= '0' && answer[0] <= '9';
  }
};

/// Asks for keys, `depth` of them at once. Errors: NotHere, for a wrong answer, too.
class Asker {
 public:
  Asker(Wire& wire, Question question) : wire_(wire), question_(std::move(question)) {}
  template <class Keys>
  void ask(Keys& keys, std::uint64_t steps, std::uint64_t depth) {
    for (std::uint64_t left = steps; left > 0;) {
      const std::uint64_t now = std::min(left, depth);
      requests_.clear();
      for (std::uint64_t i = 0; i < now; ++i) {
        requests_.append(question_.before);
        requests_.append(KeyText(keys.next()).view());
        requests_.append(question_.after);
      }
      const std::string_view answer = wire_.ask(requests_, now, question_.end);
      if (!question_.is_answered_by(answer))
        throw NotHere(fmt::format("answers \"{}\"", answer.substr(0, answer.find('\r'))));
      left -= now;
    }
  }

 private:
  Wire& wire_;
  Question question_;
  std::string requests_;
};

/// One key after the other, each once: to fill something.
class EachKey {
 public:
  [[nodiscard]] std::uint32_t next() noexcept { return next_++; }

 private:
  std::uint32_t next_ = 0;
};

/// All rows of this program: what they share, and where they go.
class Rows {
 public:
  explicit Rows(Report& report) : report_(report) {}
  [[nodiscard]] Report& report() noexcept { return report_; }
  [[nodiscard]] const Folder& folder() const noexcept { return folder_; }
  [[nodiscard]] const KeySet& hot() const noexcept { return hot_; }
  [[nodiscard]] const KeySet& many() const noexcept { return many_; }

  /// Adds "KEYS: PEER", with librl first. Errors: whatever a turn throws.
  void add(const KeySet& keys, const std::string& peer, const std::vector<Turn>& turns);

 private:
  [[nodiscard]] Turn librl(const KeySet& keys);

  Report& report_;
  Folder folder_;
  KeySet hot_{"one hot key", 1};
  KeySet many_{report_.options().quick ? "20,000 keys" : "1,000,000 keys",
               report_.options().quick ? 20'000U : 1'000'000U};
  Scratch hot_segment_{SegmentOptions{}};
  Scratch many_segment_{{.keys = many_.count}};
  bool filled_ = false;
};

/// Returns how to start a Redis that listens there only, and keeps nothing.
std::vector<std::string> redis_command(const std::string& program, const std::string& socket,
                                       const Folder& folder);

/// The peers; each throws NotHere where it cannot be measured.
void add_redis(Rows& rows);
void add_memcached(Rows& rows);
void add_nginx(Rows& rows);
void add_nginx_module(Rows& rows);
void add_openresty(Rows& rows);
void add_haproxy(Rows& rows);
void add_apcu(Rows& rows);
void add_python_limits(Rows& rows);

}  // namespace rl::bench
