#include "examples/load/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <numeric>

namespace examples {
namespace {

using End = Record::End;

/// What the records of one client say.
struct Client {
  std::vector<Span> admissions;
  std::vector<std::int64_t> arrivals_ns;  ///< when the answer came, or the loss was noticed
  std::int64_t offered = 0;
  std::int64_t denied = 0;
  std::int64_t first_sent_ns = 0;
  std::int64_t last_answered_ns = 0;
  std::int64_t admitted = 0;
  std::int64_t most = 0;
  bool within_bound = true;
};

struct Totals {
  std::int64_t admitted = 0;
  std::int64_t exact = 0;  ///< what the oracle admits
  std::int64_t lost_at_kill = 0;
  std::int64_t failed = 0;  ///< no answer, or one that is neither 200 nor 429
  std::int64_t late_ns = 0;
  std::size_t over = 0;

  /// The oracle sees what the server saw, except that a request lost at the kill may have been
  /// charged without our knowing, or not have come. Each of them changes the count by at most one.
  [[nodiscard]] std::int64_t least() const { return exact - lost_at_kill - exact / 100; }
  [[nodiscard]] bool good() const { return over == 0 && failed == 0 && admitted >= least(); }
};

/// Sorts the records by client.
std::vector<Client> clients_of(const Schedule& schedule, const Recording& recording,
                               Totals& totals) {
  std::vector<Client> clients(schedule.clients.size());
  for (const Record& record : recording.records) {
    Client& client = clients[record.client];
    ++client.offered;
    totals.late_ns = std::max(totals.late_ns, record.sent_ns - record.scheduled_ns);
    if (record.end == End::lost_at_kill) ++totals.lost_at_kill;
    const bool known = record.status == 200 || record.status == 429;
    if (record.end == End::failed || (record.end == End::answered && !known)) {
      ++totals.failed;
      continue;
    }
    // We do not know when a request was decided, only that it was between `sent` and `ended`. For
    // the oracle we take `ended`: a pause of the server bunches the answers that come after it as
    // it bunched the decisions, and bunched arrivals get less. By the instants of sending the
    // oracle would expect tokens that were lost to a full bucket during the pause.
    client.arrivals_ns.push_back(record.ended_ns);
    const bool first = client.arrivals_ns.size() == 1;
    client.first_sent_ns = first ? record.sent_ns : std::min(client.first_sent_ns, record.sent_ns);
    client.last_answered_ns = std::max(client.last_answered_ns, record.ended_ns);
    if (record.status == 200) client.admissions.push_back({record.sent_ns, record.ended_ns});
    if (record.status == 429) ++client.denied;
  }
  return clients;
}

void judge_client(Client& client, const Bucket& bucket, Totals& totals) {
  client.admitted = static_cast<std::int64_t>(client.admissions.size());
  client.most = most_admitted(bucket, client.last_answered_ns - client.first_sent_ns);
  client.within_bound = is_within_bound(bucket, client.admissions);
  totals.admitted += client.admitted;
  totals.exact += oracle(bucket, client.arrivals_ns);
  totals.over += client.within_bound ? 0 : 1;
}

/// Returns the clients to show: those over their limit, then those that asked most.
std::vector<std::size_t> shown(const std::vector<Client>& clients, std::size_t rows) {
  std::vector<std::size_t> order(clients.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (clients[a].within_bound != clients[b].within_bound) return !clients[a].within_bound;
    return clients[a].offered > clients[b].offered;
  });
  order.resize(std::min(order.size(), rows));
  std::sort(order.begin(), order.end());
  return order;
}

}  // namespace

Report judge(const Schedule& schedule, const Recording& recording, const Bucket& bucket,
             std::size_t rows) {
  Totals totals;
  std::vector<Client> clients = clients_of(schedule, recording, totals);
  for (Client& client : clients) judge_client(client, bucket, totals);

  Report report;
  const auto out = std::back_inserter(report.text);
  const std::vector<std::size_t> order = shown(clients, rows);
  fmt::format_to(out, "{:<24}{:>10}{:>10}{:>10}{:>10}  {}\n", "key", "offered", "admitted",
                 "denied", "at most", "verdict");
  for (const std::size_t i : order) {
    const Client& client = clients[i];
    fmt::format_to(out, "{:<24}{:>10}{:>10}{:>10}{:>10}  {}\n", schedule.clients[i], client.offered,
                   client.admitted, client.denied, client.most,
                   client.within_bound ? "ok" : "TOO MUCH");
  }
  if (order.size() < clients.size())
    fmt::format_to(out, "... and {} more keys\n", clients.size() - order.size());
  fmt::format_to(out, "all {} keys: {} admitted; an exact limiter admits {}, so at least {}: {}\n",
                 clients.size(), totals.admitted, totals.exact, totals.least(),
                 totals.admitted >= totals.least() ? "ok" : "TOO LITTLE");
  fmt::format_to(out,
                 "{} requests over {} connections, answered by {} workers, sent at most {:.1f} ms "
                 "late; {} in flight at the kill, {} failed\n",
                 recording.records.size(), recording.connections, recording.workers,
                 static_cast<double>(totals.late_ns) / 1e6, totals.lost_at_kill, totals.failed);
  report.good = totals.good();
  return report;
}

}  // namespace examples
