The doctor says what is wrong with a segment, why, and what mends it; and what it looked at and found
fine. Its exit code is 0 where nothing that harms was found.

  $ rlctl create web --keys 100 --clock manual
  created /dev/shm/rl.web: room for 100 keys, SIZE
  $ rlctl policy set web api 100/s burst=200
  policy api is 100/s burst=200
  $ rlctl doctor web
  librl VERSION, layout N; made by process PID, AGE ago
  web: nothing found
  fine     opens, name, switch, slots, policies, policy_ids, permissions, remove_ipc, room, memory, time_namespace, tsc, drift, fill, full_lists, lookups, hot_key, ipv6, reaper, seats, huge_pages
  $ rlctl off web
  limits of web are off: every call passes until `rlctl on web`
  $ rlctl create shop --keys 10 --mode 0666 --clock manual
  created /dev/shm/rl.shop: room for 10 keys, SIZE
  $ rlctl doctor web
  librl VERSION, layout N; made by process PID, AGE ago
  web: 1 bad
  bad      switch: LIMITS ARE OFF since TIME: every call passes
           why: somebody has said `rlctl off`; `rlctl history` tells who
           fix: rlctl on web
  fine     opens, name, slots, policies, policy_ids, permissions, remove_ipc, room, memory, time_namespace, tsc, drift, fill, full_lists, lookups, hot_key, ipv6, reaper, seats, huge_pages
  [1]
  $ rlctl doctor shop --json
  {"segment":"shop","check":"permissions","severity":"bad","symptom":"every user of this host may change its limits, and cut it short","cause":"its mode is 0666","fix":"chmod o-rw /dev/shm/rl.shop"}
  [1]

What it says is done as it stands there.

  $ rlctl on web
  limits of web are on; calls that passed while they were off: 0
  $ chmod o-rw /dev/shm/rl.${RL_NAMES}shop
  $ rlctl doctor shop | grep -v fine
  librl VERSION, layout N; made by process PID, AGE ago
  shop: nothing found
  $ rlctl doctor web2
  rlctl: /dev/shm/rl.web2: no such segment; create it with `rlctl create`
  [2]
