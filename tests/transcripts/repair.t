A slot of the table that holds what none can hold is shown, and freed with --yes; what is sound is
left alone, while everybody goes on.

  $ rlctl create web --keys 100 --clock manual
  created /dev/shm/rl.web: room for 100 keys, SIZE
  $ rlctl policy set web api 100/s burst=200
  policy api is 100/s burst=200
  $ rlctl repair web
  web: all 184 slots are sound

Something else writes over two slots in the file (the header says where they begin).

  $ cat > scribble.py <<END
  > import struct, sys
  > with open(sys.argv[1], "r+b") as file:
  >     file.seek(112)
  >     slots, = struct.unpack("<Q", file.read(8))
  >     file.seek(slots)
  >     file.write(struct.pack("<4Q", 0, 7, 5 << 16 | 99, 7))
  > END
  $ python3 scribble.py /dev/shm/rl.${RL_NAMES}web
  $ rlctl repair web
  slot  policy  key        tag and state                      wrong
     0  ?       (unknown)  0000000000000000 0000000000000007  neither free, nor an insert, nor a key  to be freed
     1  ?       (unknown)  0000000000050063 0000000000000007  its policy is none of the list          to be freed
  web: 2 of 184 slots are to be mended; `rlctl repair web --yes` does it
  [1]
  $ rlctl repair web --json
  {"slot":0,"tag":"0000000000000000","state":"0000000000000007","policy":null,"key":null,"wrong":"neither free, nor an insert, nor a key","mend":"freed","mended":false}
  {"slot":1,"tag":"0000000000050063","state":"0000000000000007","policy":null,"key":null,"wrong":"its policy is none of the list","mend":"freed","mended":false}
  [1]
  $ rlctl repair web --yes
  slot  policy  key        tag and state                      wrong
     0  ?       (unknown)  0000000000000000 0000000000000007  neither free, nor an insert, nor a key  freed
     1  ?       (unknown)  0000000000050063 0000000000000007  its policy is none of the list          freed
  web: 2 of 2 slots mended
  $ rlctl repair web
  web: all 184 slots are sound
  $ rlctl repair shop
  rlctl: /dev/shm/rl.shop: no such segment; create it with `rlctl create`
  [2]
