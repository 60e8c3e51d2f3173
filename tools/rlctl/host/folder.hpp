/// \file
/// The names in a folder.
#pragma once

#include <dirent.h>

#include <memory>
#include <string>
#include <string_view>

namespace rl::ctl {

/// Calls visit(name) for every name in a folder, "." and ".." too; false, with errno, when it cannot be
/// opened.
template <class Visit>
bool for_each_name(const std::string& folder, Visit&& visit) {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(folder.c_str()), ::closedir);
  if (!dir) return false;
  while (const dirent* const entry = ::readdir(dir.get())) visit(std::string_view(entry->d_name));
  return true;
}

}  // namespace rl::ctl
