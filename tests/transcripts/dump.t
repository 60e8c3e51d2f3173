`dump` writes what the keys owe as text, an object a line, for `load`.

  $ rlctl create web --keys 100 --clock manual
  created /dev/shm/rl.web: room for 100 keys, SIZE
  $ rlctl policy set web api 100/s burst=200
  policy api is 100/s burst=200
  $ rlctl acquire web api user:1 --cost 150
  allowed: 50 of 200 left, full in 1.5 s
  $ rlctl dump web --json
  {"librl_dump":2,"library":"VERSION","layout":N,"segment":"web","unix_ns":TIME,"now_ns":0,"keys":100,"pairs":23,"policies":1024,"labels":true,"clock":"manual","secret":"HEX","off_unix_ns":0,"sum":"HEX"}
  {"policy":1,"name":"api","kind":"limit","limit":"100/s burst=200","interval_ns":10000000,"sum":"HEX"}
  {"policy":1,"key":"user:1","debt_ns":1500000000,"allowed":1,"denied":0,"sum":"HEX"}
  {"lines":4,"sum":"HEX"}

A file is written whole or not at all.

  $ rlctl dump web --output web.dump
  dumped 1 key of 1 policy to web.dump; 0 that owe nothing left out
  $ rlctl dump web --output web.dump --json
  {"file":"web.dump","lines":4,"policies":1,"keys":1,"standings":0,"conducts":0,"trials":0,"off":false,"idle":0,"permits":0,"unreadable":0}
  $ ls
  web.dump

  $ rlctl dump web --output nowhere/web.dump
  rlctl: nowhere/web.dump.PID.new: making it: No such file or directory (ENOENT)
  [2]
  $ rlctl dump web2
  rlctl: /dev/shm/rl.web2: no such segment; create it with `rlctl create`
  [2]
