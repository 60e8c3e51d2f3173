`load` gives a segment what a dump says that keys owe; keys that it does not name stay.

  $ demo_segment
  $ rlctl dump web --output web.dump
  dumped 3 keys of 2 policies to web.dump; 3 that stand apart; 2 that owe nothing left out
  $ rlctl reset web --all --force
  forgot what 3 keys had consumed
  $ rlctl load web --input web.dump
  loaded 3 keys into web; 0 policies made; 3 that stand apart
  $ rlctl show web login mallory
  policy  key      allowed  denied  remaining  limit  full in  state  policy limit
  login   mallory        5       2          0      5    1 min  live   5/m

A segment that is not there is made, by default as the one that was dumped.

  $ rlctl load web2 --create --json < web.dump
  {"name":"web2","policies_made":2,"policies_differing":0,"keys":3,"standings":3,"conducts":0,"trials":0,"was_off":false,"off":false,"idle":0,"no_room":0,"unknown":0}

A dump that is cut off is refused, and nothing is loaded.

  $ head -3 web.dump | rlctl load web
  rlctl: line 4 of the dump: it is missing: the dump was cut short; nothing is loaded of it, take the dump anew
  [2]
  $ rlctl load web --input nowhere.dump
  rlctl: nowhere.dump: opening it: No such file or directory (ENOENT)
  [2]
