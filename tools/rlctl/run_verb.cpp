// `rlctl run`: a command under a limit. What is charged is charged before the command, which then
// takes the place of rlctl; a permit is held by rlctl, whose child the command is, until it ends.
#include <algorithm>

#include "tools/rlctl/asking.hpp"
#include "tools/rlctl/child_command.hpp"
#include "tools/rlctl/common.hpp"
#include "tools/rlctl/output.hpp"
#include "tools/rlctl/report.hpp"
#include "tools/rlctl/turn.hpp"
#include "tools/rlctl/verbs.hpp"

namespace rl::ctl {
namespace {

using std::chrono::nanoseconds;

/// A lease that is renewed so often in its length outlives two renewals that come late.
constexpr int kRenewals = 3;
constexpr nanoseconds kNoHurry = std::chrono::hours(1);

/// Everything that can be asked for behind the verb, but for the segment: what is wrong there is so
/// with a segment and without.
struct Order {
  explicit Order(const Arguments& arguments)
      : on_failure(choice(arguments, Arg::on_failure, OnFailure::deny,
                          {{"allow", OnFailure::allow}, {"deny", OnFailure::deny}})),
        key(key_of(arguments)),
        cost(cost_of(arguments)),
        wait(wait_of(arguments)),
        command(arguments.values(Arg::command)) {}

  OnFailure on_failure;
  std::string key;
  std::uint64_t cost;
  std::optional<nanoseconds> wait;
  const Arguments::Values& command;
};

/// The limits that a command is to run under. `segment` is theirs.
struct Limited {
  Segment segment;
  Limiters limiters;
};

Limited open(const Arguments& arguments) {
  Segment segment = open_to_write(arguments);
  Limiters limiters = segment.limiters(arguments.text(Arg::policy));
  return {std::move(segment), std::move(limiters)};
}

Error cannot_decide(const Arguments& arguments, const Decision& told) {
  return {Errc::system, fmt::format("policy \"{}\" of {} cannot decide ({}); see `rlctl info`",
                                    arguments.text(Arg::policy), arguments.text(Arg::segment),
                                    to_string(told.reason))};
}

/// Says that nobody limits the command, or that it is not run for that.
void go_on_without(const Order& order, const Error& error) {
  const bool is_words = error.code() == Errc::bad_name || error.code() == Errc::bad_option;
  if (order.on_failure != OnFailure::allow || is_words) throw error;
  complain(fmt::format("{}; going on without a limit (--on-failure allow)", error.what()));
}

/// Says why the command is not run. Returns the exit code.
int deny(const Arguments& arguments, const Order& order, const Limiters& limiters,
         const AllOf& all) {
  const Decision& told = all.decision;
  const std::string policy = limiters.policy(all.which);
  if (arguments.has(Arg::json)) {
    const std::string line = json_of(told, decided_by(limiters, all)).dump() + '\n';
    (void)std::fwrite(line.data(), 1, line.size(), stderr);
  } else if (told.reason == Reason::never) {
    complain("not run: " + never_passes(order.cost, policy, told));
  } else {
    std::string when = "and no waiting helps";
    if (told.retry_after != kNever) when = "come back in " + human_duration(told.retry_after);
    if (gives_permits(limiters)) when += ", or when one is given back";
    complain(fmt::format("not run: policy \"{}\" denies it ({}); {}", policy,
                         to_string(told.reason), when));
  }
  return kDenied;
}

/// What ends a wait, and what goes on to a command that runs.
HeldSignals signals_for_command() {
  return HeldSignals({SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2});
}

int run_alone(const Order& order) {
  return say_cannot_run(order.command.front(), become(order.command));
}

int run_charged(const Arguments& arguments, const Order& order, Limited& limited) {
  const Wish wish{limited.segment, limited.limiters, order.key, order.cost, order.wait};
  AllOf all = take_turn(wish, signals_for_command());
  const Reason reason = all.decision.reason;
  if (reason == Reason::unavailable || reason == Reason::invalid) {
    go_on_without(order, cannot_decide(arguments, all.decision));
  } else if (!all) {
    return deny(arguments, order, limited.limiters, all);
  }
  const int error = become(order.command);
  (void)limited.limiters.refund(order.key, all);
  return say_cannot_run(order.command.front(), error);
}

/// Keeps a permit for as long as the command runs. Says once when it is lost: by then somebody else
/// may have it, and nobody but the user knows whether two of these commands do harm.
void keep(Permit& permit, const Limiter& limiter, ChildCommand& command,
          const HeldSignals& signals) {
  using Clock = std::chrono::steady_clock;
  bool is_lost = false;
  Clock::time_point renewed = Clock::now();
  for (;;) {  // ends: with the command
    const nanoseconds each = limiter.limit().lease() / kRenewals;
    const nanoseconds left = is_lost ? kNoHurry : each - (Clock::now() - renewed);
    if (command.wait(std::clamp(left, nanoseconds(0), kNoHurry), signals)) return;
    if (is_lost || Clock::now() - renewed < each) continue;
    renewed = Clock::now();
    is_lost = !permit.renew();
    if (!is_lost) continue;
    complain(
        "the permit could not be renewed: the limit was lowered, or this was stopped for longer "
        "than the lease; the command goes on without it");
  }
}

int run_under_permit(const Arguments& arguments, const Order& order, Limited& limited) {
  HeldSignals signals = signals_for_command();
  const Wish wish{limited.segment, limited.limiters, order.key, 1, order.wait};
  Permit permit = take_permit(wish, signals);
  if (!permit) {
    const Decision& told = permit.decision();
    if (told.reason != Reason::unavailable && told.reason != Reason::invalid)
      return deny(arguments, order, limited.limiters, {.decision = told});
    go_on_without(order, cannot_decide(arguments, told));
  }
  ChildCommand command;
  const int error = command.start(order.command, signals);
  if (error != 0) return say_cannot_run(order.command.front(), error);
  if (permit) {
    keep(permit, limited.limiters[0], command, signals);
    (void)permit.release();
  } else {
    while (!command.wait(kNoHurry, signals)) {  // ends: with the command
    }
  }
  return command.end();
}

}  // namespace

int run(const Arguments& arguments) {
  const Order order(arguments);
  std::optional<Limited> limited;
  try {
    limited = open(arguments);
  } catch (const Error& e) {
    go_on_without(order, e);
    return run_alone(order);
  }
  check_can_be_asked(arguments, limited->limiters);
  return gives_permits(limited->limiters) ? run_under_permit(arguments, order, *limited)
                                          : run_charged(arguments, order, *limited);
}

}  // namespace rl::ctl
