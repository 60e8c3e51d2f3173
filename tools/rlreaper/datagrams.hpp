/// \file
/// Sockets that take datagrams under a path: systemd, the journal, syslog.
#pragma once

#include <string>

#include "shm/os.hpp"

namespace rl::reaper {

/// Returns a socket whose datagrams go to a path, or to a name that is no file ("@name"); it never
/// waits. Returns an empty Fd and leaves errno on failure.
shm::Fd datagrams_to(const std::string& path) noexcept;

}  // namespace rl::reaper
