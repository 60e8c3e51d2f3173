`selftest` tries on this machine, on segments of its own, that what librl promises holds. Told to take
a second it takes a few.

  $ rlctl selftest --seconds 1
  librl VERSION, selftest of about 1 s, seed * (glob)
  exactness  ok      * (glob)
  chaos      ok      * (glob)
  clock      ok      * (glob)
  memory     ok      * (glob)
  verdict    ok: this machine keeps what librl promises

Each part is an object; the seed repeats the random choices of a run.

  $ rlctl selftest --seconds 1 --seed 7 --json
  {"part":"exactness","ok":true,*,"faults":[]} (glob)
  {"part":"chaos","ok":true,*,"faults":[]} (glob)
  {"part":"clock","ok":true,*,"faults":[]} (glob)
  {"part":"memory","ok":true,*,"faults":[]} (glob)
  {"part":"verdict","ok":true,"version":"VERSION","seconds":1,"seed":7}

  $ rlctl selftest --seconds 0
  rlctl: --seconds 0: give at least 1
  [2]
  $ rlctl selftest --seconds soon
  rlctl: --seconds "soon": give a whole number, such as 500, 64k or 1M
  [2]
