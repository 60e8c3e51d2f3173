/// \file
/// Rate limits that all processes of a host share, without a server.
///
///     rl::Segment segment = rl::Segment::open_or_create("web", {.keys = 100'000});
///     rl::Limiter api = segment.limiter("api", rl::Limit::per_second(100).burst(200));
///     if (rl::Decision d = api.try_acquire("user:42"); !d) reply_429(d.retry_after);
#ifndef RL_RL_HPP
#define RL_RL_HPP

#include <rl/all_of.hpp>
#include <rl/counted.hpp>
#include <rl/decision.hpp>
#include <rl/denied_key.hpp>
#include <rl/dump.hpp>
#include <rl/error.hpp>
#include <rl/events.hpp>
#include <rl/fallback.hpp>
#include <rl/http.hpp>
#include <rl/keys.hpp>
#include <rl/lease.hpp>
#include <rl/limit.hpp>
#include <rl/limiter.hpp>
#include <rl/limiters.hpp>
#include <rl/limits.hpp>
#include <rl/permit.hpp>
#include <rl/reaper.hpp>
#include <rl/segment.hpp>
#include <rl/standing.hpp>
#include <rl/time.hpp>
#include <rl/totals.hpp>
#include <rl/version.hpp>

#endif
