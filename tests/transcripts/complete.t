`complete` tells the completion of shells what can stand at the end of a command line. The words so far stand
behind `--`, the program's name first; the last is what is being typed.

  $ demo_segment
  $ rlctl complete -- rlctl override ''
  set\tPut a key under a limit of its own; of a list, under one for each (esc)
  unset\tPut a key under its policy's limit again (esc)
  list\tList the keys with a limit of their own (esc)
  $ rlctl complete -- rlctl create web --clock=
  --clock=auto
  --clock=tsc
  --clock=boottime
  --clock=manual
  $ rlctl complete -- rlctl create web --lab
  --labels\tkeep the beginning of keys as text, so that they can be shown (on) (esc)

What is there is looked up: policies, and the keys of one. What ends a ban is offered those that are banned.

  $ rlctl complete -- rlctl show web ''
  api\t100/s burst=200 (esc)
  login\t5/m (esc)
  $ rlctl complete -- rlctl show web api ''
  10.0.0.1
  203.0.113.9
  user:1
  user:2
  user:vip
  $ rlctl complete -- rlctl unban web api ''
  203.0.113.9
  $ rlctl complete --json -- rlctl show web a
  {"word":"api","help":"100/s burst=200"}

Where the name of a file can stand it is the shell's to look, and exit code 1 says so. Where nothing can, nothing is
said: the command will say what is wrong.

  $ rlctl complete -- rlctl apply web lim
  [1]
  $ rlctl complete -- rlctl show web2 ''
  $ rlctl complete -- rlctl lsit ''

bash hands over a line, as it stands, and gets what it has to put behind the last `:` or `=`, with quotes.

  $ rlctl complete --line 'rlctl list "x y" --sort=d' --breaks ' :='
  denied

  $ rlctl complete
  rlctl: complete: give the words behind --, or --line and a line; see `rlctl help complete`
  [2]
