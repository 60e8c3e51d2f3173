/// \file
/// Marks what the shared library exports; everything else is hidden.
#ifndef RL_EXPORT_HPP
#define RL_EXPORT_HPP

#define RL_EXPORT __attribute__((visibility("default")))
/// What of an exported class is nobody's but the library's.
#define RL_INSIDE __attribute__((visibility("hidden")))

#endif
