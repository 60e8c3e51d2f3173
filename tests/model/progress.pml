/* Nobody waits, and nobody gets stuck: the retries of shm/table.hpp as loops without a bound, and
   the search looks for runs that go on for ever in which no call ever ends. Read it beside
   insert_absent, take_slot, choose_victim and resolve; words and letters (a) .. (i) are the same.

   Modelled     Two processes that call for ever, on one key or (-DTWO_KEYS) on one key each, on
                SLOTS slots. A call that ends is progress; its member becomes idle at once and is
                freed, so that the next call inserts again.
   Death        A run in which only one process takes steps is among those that are searched, and so
                is one in which the other stopped at any instruction. In none of them may the one
                that goes on be without progress: that is "nobody waits".
   Speed        Two processes with a key each can displace each other's tentatives for ever if each
                is now very fast, now very slow, and always the wrong one: then kTriesMax ends the
                call, and this model says nothing. With -DRATIO=r both are alive, and neither takes
                more than r steps while the other takes none; or one of them dies, at any step.
                Then kStaleScans (-DSTALE_SCANS) is enough patience for the one who lives, and none
                is too little: that is what it is for.
   Nonces       As in insert.pml: the lowest that nobody remembers.
   Asserted     P: no cycle without progress (spin -DNP).

   Mutants, each must end in such a cycle:
     BUG_REPEATED_SLOT   the list names a slot twice: a process kills its own claim, for ever
     BUG_NO_ORDER        each process has an order of the list of its own: each gives way for ever
     BUG_WAITS           a tentative of our key, another's, is waited for: its owner may be dead
     STALE_SCANS=1       (TWO_KEYS, RATIO) a tentative is displaced at first sight
     BUG_NEVER_STALE     (TWO_KEYS, RATIO) it never is: its owner may be dead */

#ifndef SLOTS
#define SLOTS 1
#endif
#ifndef STALE_SCANS
#define STALE_SCANS 3
#endif

/* What a slot holds. */
#define FREE 0
#define TENTATIVE(key) (key)    /* state = a nonce */
#define MEMBER(key) (2 + (key))
byte tag[SLOTS], state[SLOTS];

#ifdef TWO_KEYS
#define KEY (1 + me)
#else
#define KEY 1
#endif

#ifdef BUG_REPEATED_SLOT
#define LIST (SLOTS + 1)
#else
#define LIST SLOTS
#endif
#ifdef BUG_NO_ORDER
#define SLOT_AT(position) ((position + me) % SLOTS)
#else
#define SLOT_AT(position) ((position) % SLOTS)
#endif

/* What a call carries. */
#define NOWHERE LIST
typedef Call {
  byte claim_at, claim_state;
  bool own;
  byte seen_state, stale_nonce, stale_scans
};
Call call[2];

/* steps[p]: taken by p since the other's last. */
byte steps[2];
bool dead[2];
#ifdef RATIO
#define STEP d_step { steps[1 - me] = 0; \
  steps[me] = (dead[1 - me] || steps[me] == RATIO -> steps[me] : steps[me] + 1) }
#define MY_TURN (!dead[me] && (dead[1 - me] || steps[me] < RATIO))
#else
#define STEP skip
#define MY_TURN true
#endif

inline forget() { atomic {
  call[me].claim_at = NOWHERE; call[me].claim_state = 0; call[me].own = false;
  call[me].seen_state = 0; position = 0; i = 0; n = 0 } }

inline fresh_nonce() { d_step {
  n = 1; i = 0;
  do
  :: i < SLOTS && state[i] == n -> n++; i = 0
  :: i < SLOTS && state[i] != n -> i++
  :: i >= SLOTS && i < SLOTS + 2 && (call[i - SLOTS].claim_state == n ||
       call[i - SLOTS].seen_state == n || call[i - SLOTS].stale_nonce == n) -> n++; i = 0
  :: i >= SLOTS && i < SLOTS + 2 && call[i - SLOTS].claim_state != n &&
       call[i - SLOTS].seen_state != n && call[i - SLOTS].stale_nonce != n -> i++
  :: i == SLOTS + 2 -> break
  od;
  i = 0 } }

inline withdraw() { atomic { MY_TURN -> STEP; /* (e) */
  n = SLOT_AT(call[me].claim_at);
  if
  :: call[me].own && tag[n] == TENTATIVE(KEY) && state[n] == call[me].claim_state ->
       tag[n] = FREE; state[n] = 0
  :: else
  fi;
  n = 0 } }

proctype caller(byte me) {
  byte position, i, n;
again:
  atomic { call[me].stale_nonce = 0; call[me].stale_scans = 0 };
retry:
  forget();

  /* scan; a member is used */
  do
  :: atomic { position < LIST && MY_TURN -> STEP;
       n = SLOT_AT(position);
       if
       :: tag[n] == MEMBER(KEY) -> n = 0; goto ended
       :: tag[n] == TENTATIVE(KEY) && call[me].claim_at == NOWHERE ->
#ifdef BUG_WAITS
            n = 0; goto retry
#else
            call[me].claim_at = position; call[me].claim_state = state[n]
#endif
       :: else
       fi;
       position++; n = 0 }
  :: atomic { position == LIST -> position = 0; break }
  od;

  /* take_slot: a free slot; else a tentative that stood still over so many scans */
  do
  :: atomic { call[me].claim_at != NOWHERE -> position = 0; break }
  :: atomic { call[me].claim_at == NOWHERE && position < LIST && MY_TURN -> STEP;
       n = SLOT_AT(position);
       if
       :: tag[n] == FREE -> skip
       :: tag[n] == TENTATIVE(3 - KEY) && position == LIST - 1 ->
            call[me].stale_scans = (state[n] == call[me].stale_nonce ->
                                    call[me].stale_scans + 1 : 1);
            call[me].stale_nonce = state[n];
#ifdef BUG_NEVER_STALE
            goto retry
#else
            if
            :: call[me].stale_scans < STALE_SCANS -> goto retry
            :: else
            fi
#endif
       :: tag[n] == TENTATIVE(KEY) || tag[n] == MEMBER(KEY) -> goto retry
       :: else -> position++; goto skipped
       fi;
       call[me].seen_state = state[n];
       i = tag[n] };
     atomic { MY_TURN -> STEP;
       n = SLOT_AT(position);
       if
       :: tag[n] == i && state[n] == call[me].seen_state -> /* (a) (c) */
            call[me].seen_state = 0;
            fresh_nonce();
            i = SLOT_AT(position);
            tag[i] = TENTATIVE(KEY); state[i] = n;
            call[me].claim_at = position; call[me].claim_state = n; call[me].own = true;
            i = 0; n = 0
       :: else -> goto retry
       fi };
skipped:
     skip
  :: atomic { call[me].claim_at == NOWHERE && position == LIST -> goto ended } /* full */
  od;

  /* resolve */
  do
  :: atomic { position < LIST && position == call[me].claim_at -> position++ }
  :: atomic { position < LIST && position != call[me].claim_at && MY_TURN -> STEP;
       n = SLOT_AT(position);
       if
       :: tag[n] == MEMBER(KEY) -> i = 1
       :: tag[n] == TENTATIVE(KEY) && position < call[me].claim_at -> i = 2
       :: tag[n] == TENTATIVE(KEY) && position > call[me].claim_at -> i = 3
       :: else -> i = 0
       fi;
       call[me].seen_state = state[n]; n = 0 };
     if
     :: i == 0 -> atomic { position++; call[me].seen_state = 0 }
     :: i == 1 -> withdraw(); goto retry
     :: i == 2 -> withdraw();
          atomic { call[me].claim_at = position; call[me].claim_state = call[me].seen_state;
            call[me].own = false; call[me].seen_state = 0; position = 0; i = 0 }
     :: i == 3 -> atomic { MY_TURN -> STEP;
            n = SLOT_AT(position);
            if
            :: tag[n] == TENTATIVE(KEY) && state[n] == call[me].seen_state ->
                 tag[n] = FREE; state[n] = 0; position++ /* (f) */
            :: else -> position = 0
            fi;
            call[me].seen_state = 0; i = 0; n = 0 }
     fi
  :: atomic { position == LIST -> position = 0; break }
  od;

  /* (g) promote */
  atomic { MY_TURN -> STEP;
    n = SLOT_AT(call[me].claim_at);
    if
    :: tag[n] == TENTATIVE(KEY) && state[n] == call[me].claim_state ->
         tag[n] = MEMBER(KEY); state[n] = 0
    :: else -> goto retry
    fi };

ended:
progress:
  atomic { /* the member is idle, and freed */
    i = 0;
    do
    :: i < SLOTS -> tag[i] = (tag[i] == MEMBER(KEY) -> FREE : tag[i]); i++
    :: else -> break
    od;
    i = 0; n = 0 };
  goto again
}

#ifdef RATIO
proctype death() {
end:
  if
  :: dead[0] = true
  :: dead[1] = true
  fi
}
#endif

init {
  atomic {
    call[0].claim_at = NOWHERE; call[1].claim_at = NOWHERE;
    run caller(0); run caller(1);
#ifdef RATIO
    run death()
#endif
  }
}
