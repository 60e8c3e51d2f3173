#include "tools/rlreaper/exporter.hpp"

#include <fmt/format.h>

#include <exception>

#include "tools/rlreaper/service.hpp"

namespace rl::reaper {
namespace {

using namespace std::chrono_literals;

constexpr auto kEvery = 1s;

}  // namespace

void Exporter::change(std::optional<ListenAt> at) {
  if (at == at_) return;
  at_ = std::move(at);
  server_.reset();
  next_ = {};
  said_.clear();
}

void Exporter::tick(Clock::time_point now, const std::function<std::string()>& compose) {
  if (!at_ || now < next_) return;
  next_ = now + kEvery;
  if (server_) return server_->publish(compose());
  listen(compose());
}

void Exporter::listen(std::string text) {
  try {
    server_.emplace(*at_, std::move(text));
    said_.clear();
    say(fmt::format("metrics at http://{}/metrics", server_->where()));
  } catch (const std::exception& e) {
    ++failures_;
    if (said_ == e.what()) return;
    said_ = e.what();
    say(fmt::format("no metrics: {}; trying again each second", said_));
  }
}

std::string Exporter::status() const {
  if (!at_) return {};
  const std::string failures =
      failures_ == 0 ? "" : fmt::format("; could not listen: {} times", failures_);
  if (!server_) return fmt::format("metrics: not listening{}", failures);
  return fmt::format("metrics: listening on {}, given {} times{}", server_->where(),
                     server_->answers(), failures);
}

}  // namespace rl::reaper
