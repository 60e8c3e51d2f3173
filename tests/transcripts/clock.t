`clock` tells a segment's time, which began at 0 when it was made. A manual clock moves by hand only.

  $ demo_segment
  $ rlctl clock web
  1 min (60000000000 ns)
  $ rlctl clock web --advance 90s
  2 min 30 s (150000000000 ns)
  $ rlctl clock web --json
  {"name":"web","now_ns":150000000000}

  $ rlctl clock web --advance soon
  rlctl: --advance "soon": give a duration, such as 90s: a whole number and ns, us, ms, s, m, h or d
  [2]
  $ rlctl create web2 --keys 100
  created /dev/shm/rl.web2: room for 100 keys, SIZE
  $ rlctl clock web2 --advance 1s
  rlctl: /dev/shm/rl.web2: its clock is not manual; only a segment created with clock manual can be advanced
  [2]
