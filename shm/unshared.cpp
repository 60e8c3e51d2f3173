// A segment of one process alone: the same bytes, without a file that anybody could find.
#include <sys/mman.h>
#include <sys/stat.h>

#include <boost/interprocess/anonymous_shared_memory.hpp>

#include <fmt/format.h>

#include "shm/mapping.hpp"

namespace rl::shm {
namespace {

namespace ipc = boost::interprocess;

ipc::mapped_region memory(std::uint64_t bytes) {
  try {
    return ipc::anonymous_shared_memory(bytes);
  } catch (const ipc::interprocess_exception& e) {
    throw os_error(fmt::format("asking for {} bytes of private memory", bytes),
                   e.get_native_error());
  }
}

}  // namespace

Mapping::Unshared Mapping::create_unshared(const CreateOptions& options, bool with_seats) {
  Mapping mapping;
  mapping.constants_ = constants_for(options);
  const HeaderConstants& c = mapping.constants_;
  mapping.geometry_ = geometry_for(c.keys, c.policy_capacity, c.seat_capacity, options.labels);
  mapping.access_ = Access::read_write;
  mapping.region_ = memory(c.total_bytes);
  mapping.forsake();  // from here on private: what is copied at a fork is as divided as all else
  mapping.begin();
  if (!with_seats) return {std::move(mapping), Fd()};
  // Locks need a file, and no byte in it. Who gets none has no seat, and so no permits.
  Fd seats(::memfd_create("librl-seats", MFD_CLOEXEC));
  struct stat st {};
  if (!seats || ::fstat(seats.get(), &st) != 0) return {std::move(mapping), Fd()};
  mapping.device_ = st.st_dev;
  mapping.inode_ = st.st_ino;
  return {std::move(mapping), std::move(seats)};
}

}  // namespace rl::shm
