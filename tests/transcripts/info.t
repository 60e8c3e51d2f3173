The first line of `info` says which version made the segment, and when; the last, whether limits are
in force.

  $ demo_segment
  $ rlctl info web
  librl VERSION, layout N; made by process PID, AGE ago
  name       web
  path       /dev/shm/rl.web
  created    TIME
  clock      manual
  labels     on
  size       SIZE
  pages      small ones
  keys       6 live; room for 100
  slots      6 live, 0 idle, 184 in all
  policies   5 of 1024 ids used, 1019 left, the last 8 for bans and allowed keys only
  attached   0 processes; 0 found no seat
  when full  0 evicted, 0 allowed, 0 denied, 0 gave up
  repaired   0 states clamped, 0 inserts of dead processes freed
  reaper     none
  limits     on; calls that passed while they were off: 0
  $ rlctl info web --json
  {"name":"web","path":"/dev/shm/rl.web","layout_version":N,"creator_version":"VERSION","creator_pid":PID,"created":"TIME","clock":"manual","tsc_left":false,"labels":true,"keys":100,"slots":184,"live":6,"idle":0,"bytes":SIZE,"huge_bytes":0,"attached":0,"anonymous":0,"policies":5,"policy_room":1024,"policies_left":1019,"policies_kept":8,"evicted":0,"full_allowed":0,"full_denied":0,"gave_up":0,"clamped":0,"tentatives_freed":0,"off_since":null,"off_allowed":0,"reaper":{"leads":false,"pid":0,"beat_ago_ns":null,"rounds":0,"idle_freed":0,"permits_freed":0,"tentatives_freed":0,"corrupt":0}}

What is not there is an error, and nothing is made.

  $ rlctl info web2
  rlctl: /dev/shm/rl.web2: no such segment; create it with `rlctl create`
  [2]
