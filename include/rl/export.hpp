/// \file
/// Marks what the shared library exports; everything else is hidden.
#ifndef RL_EXPORT_HPP
#define RL_EXPORT_HPP

#define RL_EXPORT __attribute__((visibility("default")))

#endif
