`help` tells what a verb does and what can stand behind it, as `--help` behind the verb does.

  $ rlctl help clock
  Usage: rlctl clock SEGMENT [OPTIONS]
  
  Tell a segment's time; move a manual clock.
  
  Arguments:
    SEGMENT                 a name such as web (POSIX shared memory), or an absolute path on a tmpfs
  
  Options:
    --advance DURATION      move a manual clock forward, such as 90s
    --any-owner             trust a segment whose owner is neither this user nor root
    --json                  print JSON, one object a line
    -h, --help              print this help and exit
  
  Example:
    rlctl clock web
  $ rlctl help | head -1
  Looks into, sets up and asks the rate limits of a librl segment.

The whole table of verbs, for programs, is an object a line.

  $ rlctl help --json | grep '"verb":"clock"'
  {"verb":"clock","summary":"Tell a segment's time; move a manual clock","group":"look","usage":"rlctl clock SEGMENT [OPTIONS]","example":"rlctl clock web","arguments":[{"name":"SEGMENT","required":true,"many":false,"help":"a name such as web (POSIX shared memory), or an absolute path on a tmpfs","completes":"segments","words":[]}],"options":[{"name":"--advance","value":"DURATION","help":"move a manual clock forward, such as 90s","completes":"nothing","words":[]},{"name":"--any-owner","value":"","help":"trust a segment whose owner is neither this user nor root","completes":"nothing","words":[]},{"name":"--json","value":"","help":"print JSON, one object a line","completes":"nothing","words":[]}]}

A verb that is typed wrong is told the nearest.

  $ rlctl help clok
  rlctl: unknown verb "clok"; did you mean "clock"?
  [2]
