`replay` asks a limit for each request of an access log, at the time that the log gives it, and tells
what it denies. What decides is the library itself, on a segment of its own.

  $ access() { printf '%s - %s [17/May/2015:10:%s +0000] "GET /a?b HTTP/1.1" 200 5 "-" "curl/8"\n' "$@"; }
  $ for i in 0 1 2 3 4 5 6 7 8 9; do access 203.0.113.7 jo 05:0$i; access 2001:db8::$i - 05:0$i; done >access.log
  $ access 203.0.113.8 - 04:59 >>access.log
  $ echo 'this is no request' >>access.log
  $ LC_ALL=C rlctl replay access.log 10/m burst=5
  10/m burst=5 denies 8 of 21 requests (38.1 %), and 2 of 3 keys at least once
  log        access.log, combined
  span       TIME to TIME, 9 s
  key        ip (IPv6 by /64)
  times      whole seconds: calls of one second count as made all at once
  backwards  1 line, by up to 10 s; they count at the latest time before them, so more is denied than if the log were sorted by time
  left out   1 not of this format
    line 22  this is no request
  requests   +++++++++#  at most 3 in 1 s
  denied     _____#_###  at most 2 in 1 s
  
  key            requests  denied   share
  203.0.113.7          10       4  40.0 %
  2001:db8::/64        10       4  40.0 %
  $ gzip -k access.log
  $ rlctl replay access.log.gz 10/m burst=5 --suggest 5% --json
  {"requests":21,"keys":3,"denied":8,"denied_share":0.38095238095238093,"keys_denied":2,"top":[{"key":"203.0.113.7","requests":10,"denied":4},{"key":"2001:db8::/64","requests":10,"denied":4}],"limit":"10/m burst=5","key_by":"ip (IPv6 by /64)","log":"access.log.gz","format":"combined","first":"TIME","last":"TIME","unparsed":1,"without_key":0,"without_address":0,"backwards":1,"whole_seconds":true,"suggested":{"at_most":"5%","limit":"15/m burst=8","denied":0,"denied_share":0.0,"next_smaller":"14/m burst=7","next_smaller_denied":2,"is_monotone":true}}
  $ rlctl replay access.log.gz 10/m burst=5 --suggest 5% | head -2
  10/m burst=5 denies 8 of 21 requests (38.1 %), and 2 of 3 keys at least once
  suggested: 15/m burst=8 denies 0 (0 %), at most 5%; 14/m burst=7 denies 2 (9.52 %)
  $ rlctl replay - window 5/h --key user <access.log | head -1
  window 5/h denies 5 of 10 requests (50.0 %), and 1 of 1 keys at least once
  $ cat >log.json <<EOF
  > {"time":"2015-05-17T10:05:03Z","tenant":"a"}
  > {"time":"2015-05-17T10:05:04Z","tenant":"a"}
  > {"time":"2015-05-17T10:05:05Z"}
  > EOF
  $ LC_ALL=C rlctl replay log.json sliding 1/m --key tenant
  sliding 1/m denies 1 of 2 requests (50.0 %), and 1 of 1 keys at least once
  log       log.json, json
  span      TIME to TIME, 1 s
  key       tenant
  times     whole seconds: calls of one second count as made all at once
  left out  1 that name nobody by this key
  requests  ##  at most 1 in 1 s
  denied    _#  at most 1 in 1 s
  
  key  requests  denied   share
  a           2       1  50.0 %
  $ rlctl replay access.log 10/m --plot out.svg | head -1
  10/m denies 0 of 21 requests (0 %), and 0 of 3 keys at least once
  $ head -n 2 out.svg
  <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 900 560" role="img" font-family="sans-serif">
  <title>10/m, by ip (IPv6 by /64): denies 0 of 21 requests (0 %)</title>

A log does not tell how long calls took, and half a log is none.

  $ rlctl replay access.log concurrency 5
  rlctl: concurrency 5: a log does not tell how long its calls took, so permits cannot be replayed; give a limit of calls, such as 100/s
  [2]
  $ head -c 100 access.log.gz | rlctl replay - 10/m
  rlctl: standard input: its compressed data ends in the middle; nothing was replayed, get the rest, or replay what is there with `zcat LOG | rlctl replay -`
  [2]
  $ rlctl replay access.log
  rlctl: replay: give a limit, such as 100/s, or --policy SEGMENT/NAME for the one in force there, and not both
  [2]
  $ rlctl replay log.json 1/s --key user
  rlctl: log.json: no request to replay, as 3 lines name nobody by that --key; see --format, --time and --key
  [2]
  $ echo 'Hello, world' | rlctl replay - 1/s
  rlctl: standard input: its first lines are neither combined, JSON nor LTSV, such as "Hello, world"; say which with --format, where the time stands with --time
  [2]
