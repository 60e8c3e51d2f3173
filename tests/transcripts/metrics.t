`metrics` writes the numbers of a segment as Prometheus reads them.

  $ demo_segment
  $ rlctl metrics web
  # HELP rl_segment_up 1 when the segment can be read; when it cannot, 0 and no other number.
  # TYPE rl_segment_up gauge
  rl_segment_up{segment="web"} 1
  # HELP rl_decisions_total Calls that were decided: allowed, denied, or would_deny (passed, in shadow).
  # TYPE rl_decisions_total counter
  rl_decisions_total{segment="web",policy="api",outcome="allowed"} 2
  rl_decisions_total{segment="web",policy="api",outcome="denied"} 0
  rl_decisions_total{segment="web",policy="api",outcome="would_deny"} 0
  rl_decisions_total{segment="web",policy="login",outcome="allowed"} 5
  rl_decisions_total{segment="web",policy="login",outcome="denied"} 2
  rl_decisions_total{segment="web",policy="login",outcome="would_deny"} 0
  # HELP rl_refunds_total Calls that were given back.
  # TYPE rl_refunds_total counter
  rl_refunds_total{segment="web",policy="api"} 0
  rl_refunds_total{segment="web",policy="login"} 0
  # HELP rl_waits_total Allowed calls that had to wait for their turn.
  # TYPE rl_waits_total counter
  rl_waits_total{segment="web",policy="api"} 0
  rl_waits_total{segment="web",policy="login"} 0
  # HELP rl_wait_seconds_total How long they had to wait, together.
  # TYPE rl_wait_seconds_total counter
  rl_wait_seconds_total{segment="web",policy="api"} 0
  rl_wait_seconds_total{segment="web",policy="login"} 0
  # HELP rl_slots Slots of the table.
  # TYPE rl_slots gauge
  rl_slots{segment="web"} 184
  # HELP rl_keys_promised Keys that there is room for.
  # TYPE rl_keys_promised gauge
  rl_keys_promised{segment="web"} 100
  # HELP rl_lookup_lines Keys that came into the table, by how many cache lines of slots are looked at to find them.
  # TYPE rl_lookup_lines histogram
  rl_lookup_lines_bucket{segment="web",le="1"} 3
  rl_lookup_lines_bucket{segment="web",le="2"} 3
  rl_lookup_lines_bucket{segment="web",le="3"} 3
  rl_lookup_lines_bucket{segment="web",le="4"} 3
  rl_lookup_lines_bucket{segment="web",le="+Inf"} 3
  rl_lookup_lines_sum{segment="web"} 3
  rl_lookup_lines_count{segment="web"} 3
  # HELP rl_cas_retries_total Tries that a rival's success has undone.
  # TYPE rl_cas_retries_total counter
  rl_cas_retries_total{segment="web"} 0
  # HELP rl_evictions_total Slots that new keys took from others: idle ones, or owing ones where all were.
  # TYPE rl_evictions_total counter
  rl_evictions_total{segment="web",rule="idle"} 0
  rl_evictions_total{segment="web",rule="owing"} 0
  # HELP rl_full_lists_total Calls that found no slot, by what when_full decided.
  # TYPE rl_full_lists_total counter
  rl_full_lists_total{segment="web",outcome="allowed"} 0
  rl_full_lists_total{segment="web",outcome="denied"} 0
  # HELP rl_gave_up_total Calls that ran out of tries.
  # TYPE rl_gave_up_total counter
  rl_gave_up_total{segment="web"} 0
  # HELP rl_states_clamped_total States that were further ahead than any clock explains.
  # TYPE rl_states_clamped_total counter
  rl_states_clamped_total{segment="web"} 0
  # HELP rl_tentatives_freed_total Marks of inserts that were abandoned, and freed.
  # TYPE rl_tentatives_freed_total counter
  rl_tentatives_freed_total{segment="web"} 0
  # HELP rl_permits_reclaimed_total Permits that were taken back from dead processes.
  # TYPE rl_permits_reclaimed_total counter
  rl_permits_reclaimed_total{segment="web"} 0
  # HELP rl_events_total Events that were written.
  # TYPE rl_events_total counter
  rl_events_total{segment="web"} 6
  # HELP rl_events_lost_total Events that were overwritten before a consumer had read them.
  # TYPE rl_events_lost_total counter
  rl_events_lost_total{segment="web"} 0
  # HELP rl_clock_info 1, with the clock in use: tsc, boottime or manual.
  # TYPE rl_clock_info gauge
  rl_clock_info{segment="web",source="manual"} 1
  # HELP rl_tsc_left 1 when the segment began on the TSC and had to leave it.
  # TYPE rl_tsc_left gauge
  rl_tsc_left{segment="web"} 0
  # HELP rl_processes_attached Processes that are attached, rlreaper among them.
  # TYPE rl_processes_attached gauge
  rl_processes_attached{segment="web"} 0
  # HELP rl_processes_anonymous_total Times that a process found no free seat.
  # TYPE rl_processes_anonymous_total counter
  rl_processes_anonymous_total{segment="web"} 0
  # HELP rl_reaper_leads 1 while a reaper leads.
  # TYPE rl_reaper_leads gauge
  rl_reaper_leads{segment="web"} 0
  # HELP rl_reaper_rounds_total How often the whole table was swept.
  # TYPE rl_reaper_rounds_total counter
  rl_reaper_rounds_total{segment="web"} 0
  # HELP rl_reaper_idle_freed_total Idle slots that a reaper freed.
  # TYPE rl_reaper_idle_freed_total counter
  rl_reaper_idle_freed_total{segment="web"} 0
  # HELP rl_limits_off 1 while limits are off: every call passes.
  # TYPE rl_limits_off gauge
  rl_limits_off{segment="web"} 0
  # HELP rl_off_allowed_total Calls that passed while limits were off.
  # TYPE rl_off_allowed_total counter
  rl_off_allowed_total{segment="web"} 0
  # HELP rl_policies_used Entries for policies that are used; none is used twice.
  # TYPE rl_policies_used gauge
  rl_policies_used{segment="web"} 5
  # HELP rl_policies_room Entries for policies that there are.
  # TYPE rl_policies_room gauge
  rl_policies_room{segment="web"} 1024
  # HELP rl_segment_bytes Size of the segment.
  # TYPE rl_segment_bytes gauge
  rl_segment_bytes{segment="web"} SIZE
  # HELP rl_segment_created_timestamp_seconds When it was made, Unix time.
  # TYPE rl_segment_created_timestamp_seconds gauge
  rl_segment_created_timestamp_seconds{segment="web"} TIME
  $ rlctl metrics web --json | grep -e decisions -e keys
  {"name":"rl_decisions_total","type":"counter","labels":{"segment":"web","policy":"api","outcome":"allowed"},"value":2}
  {"name":"rl_decisions_total","type":"counter","labels":{"segment":"web","policy":"api","outcome":"denied"},"value":0}
  {"name":"rl_decisions_total","type":"counter","labels":{"segment":"web","policy":"api","outcome":"would_deny"},"value":0}
  {"name":"rl_decisions_total","type":"counter","labels":{"segment":"web","policy":"login","outcome":"allowed"},"value":5}
  {"name":"rl_decisions_total","type":"counter","labels":{"segment":"web","policy":"login","outcome":"denied"},"value":2}
  {"name":"rl_decisions_total","type":"counter","labels":{"segment":"web","policy":"login","outcome":"would_deny"},"value":0}
  {"name":"rl_keys_promised","type":"gauge","labels":{"segment":"web"},"value":100}
  $ rlctl metrics web | grep rl_keys
  # HELP rl_keys_promised Keys that there is room for.
  # TYPE rl_keys_promised gauge
  rl_keys_promised{segment="web"} 100

Of a segment that cannot be read it says so, in the numbers and on standard error, and goes on with
the others.

  $ rlctl metrics web web2 | grep rl_segment_up
  rlctl: /dev/shm/rl.web2: no such segment; create it with `rlctl create`
  # HELP rl_segment_up 1 when the segment can be read; when it cannot, 0 and no other number.
  # TYPE rl_segment_up gauge
  rl_segment_up{segment="web"} 1
  rl_segment_up{segment="web2"} 0

  $ rlctl metrics web --count=yes
  rlctl: metrics: --count takes no value; leave it out
  [2]
