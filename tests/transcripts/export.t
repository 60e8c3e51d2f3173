`export` writes the limits of a segment as a file for `apply`.

  $ demo_segment
  $ rlctl export web
  [segment]
  keys = 100
  mode = "0600"
  labels = true
  clock = "manual"
  policies = 1024
  
  [policy."api"]
  limit = "100/s burst=200"
  
  [policy."api".override]
  "user:vip" = "1k/s"
  
  [policy."api".allow]
  "10.0.0.1" = "monitoring"
  
  [policy."api".ban]
  "203.0.113.9" = { until = TIME, reason = "scraper" }
  
  [policy."login"]
  limit = "5/m"
  $ rlctl export web --json
  {"policy":{"api":{"allow":{"10.0.0.1":"monitoring"},"ban":{"203.0.113.9":{"reason":"scraper","until":"TIME"}},"limit":"100/s burst=200","override":{"user:vip":"1k/s"}},"login":{"limit":"5/m"}},"segment":{"clock":"manual","keys":100,"labels":true,"mode":"0600","policies":1024}}

It says what the segment says: applying it changes nothing.

  $ rlctl export web > limits.toml
  $ rlctl apply web limits.toml
  nothing to change

  $ rlctl export web2
  rlctl: /dev/shm/rl.web2: no such segment; create it with `rlctl create`
  [2]
