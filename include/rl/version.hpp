/// \file
/// The version of these headers.
#ifndef RL_VERSION_HPP
#define RL_VERSION_HPP

#define RL_VERSION "0.1.0"

#endif
