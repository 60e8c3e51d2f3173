/// \file
/// Where events go, and as what: a file of JSON lines, messages to syslog, entries of the journal.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <rl/events.hpp>

#include "shm/os.hpp"

namespace rl::reaper {

/// An event; or, where `lost` is not 0, so many that are missing here.
struct Record {
  std::string segment = {};  ///< empty: of several
  Event event = {};
  std::uint64_t lost = 0;
};

/// A place for records. Each gets there by one write to a descriptor.
class Sink {
 public:
  explicit Sink(std::string name) : name_(std::move(name)) {}
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;
  virtual ~Sink() = default;
  /// Returns it as the command line has it.
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] virtual std::string text_of(const Record& record) const = 0;
  /// Opens it; writes do not wait then. Errors: Error, as of the system call.
  [[nodiscard]] virtual shm::Fd open() const = 0;
  /// Whether what was opened is still what the name stands for.
  [[nodiscard]] virtual bool is_current(int fd) const = 0;

 private:
  std::string name_;
};

/// Makes of "jsonl:FILE", "syslog" or "journald" a sink, and opens nothing. The others may name
/// another socket: "syslog:PATH". Errors: Error (bad_option).
std::unique_ptr<Sink> make_sink(const std::string& text);

/// Errors: Error (bad_option) for what is no sink, and for one that is given twice.
void check_sinks(const std::vector<std::string>& texts);

}  // namespace rl::reaper
