/* Nobody waits, and nobody gets stuck: the retries of shm/table.hpp as loops without a bound, and
   the search looks for runs that go on for ever in which no call ever ends, and for those that end
   because nobody can take a step. Read it beside insert_absent, take_slot, choose_victim and
   resolve; words and letters (a) .. (i) are the same.

   Modelled     CALLERS processes that call for ever, on one key or (-DTWO_KEYS) on one key each, on
                SLOTS slots. A call that ends is progress; its member becomes idle at once and is
                freed, so that the next call inserts again. Others may, -DADVERSE=n times in all,
                put a third key into a slot, whatever it held, or free it. (As often as they like,
                they would stop anybody by themselves.)
   The choice   A free slot that the scan saw: any of them, or none, which is more than
                best_position does. So two processes may claim the slots of one key in any order,
                and all that resolve can meet is met. Then choose_victim, as the code has it.
   Death        Any but one of the processes may die, at any step; and a run in which some take no
                more steps is among those that are searched, as is one in which another was stopped
                at any instruction. In none of them may those that go on be without progress: that
                is "nobody waits".
   Speed        Two processes with a key each can displace each other's tentatives for ever if each
                is now very fast, now very slow, and always the wrong one: then kTriesMax ends the
                call, and this model says nothing. With -DRATIO=r (two processes) both are alive,
                and neither takes more than r steps while the other takes none; or one of them dies.
                Then kStaleScans (-DSTALE_SCANS) is enough patience for the one who lives, and none
                is too little: that is what it is for.
   Nonces       As in insert.pml: the lowest that nobody remembers.
   Asserted     P: no cycle without progress (spin -DNP).
                And no deadlock, in a second search, as the first does not look for one. Since the
                dead take no step, this is also: nobody is blocked by a process that died.

   Mutants, each must end in such a cycle, or in a deadlock:
     BUG_REPEATED_SLOT   the list names a slot twice: a process kills its own claim, for ever
     BUG_NO_ORDER        each process has an order of the list of its own: two kill each other, or
                         give way to each other, for ever
     BUG_KILLS_EARLIER   a tentative is killed wherever it is on the list: so do these
     BUG_WAITS           a tentative of our key, another's, is waited for: its owner may be dead
     BUG_BLOCKS          so it is, and asleep instead of by looking again: the deadlock
     STALE_SCANS=1       (TWO_KEYS, RATIO) a tentative is displaced at first sight
     BUG_NEVER_STALE     (TWO_KEYS, RATIO) it never is: its owner may be dead */

#ifndef SLOTS
#define SLOTS 1
#endif
#ifndef CALLERS
#define CALLERS 2
#endif
#ifndef ADVERSE
#define ADVERSE 0
#endif
#ifndef STALE_SCANS
#define STALE_SCANS 3
#endif
#ifndef RATIO
#define RATIO 0 /* any speeds */
#endif

/* What a slot holds. */
#define FREE 0
#define TENTATIVE(key) (key)    /* state = a nonce */
#define MEMBER(key) (2 + (key))
#define OTHER 5                 /* a third key's, and not to be had */
byte tag[SLOTS], state[SLOTS];

#ifdef TWO_KEYS
#define KEY_OF(process) (1 + (process))
#else
#define KEY_OF(process) 1
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
  byte victim_at, seen_state, stale_nonce, stale_scans
};
Call call[CALLERS];

/* steps[p]: taken by p since its rival's last, if RATIO says that they matter. */
byte steps[CALLERS];
bool dead[CALLERS];
#define RIVAL (me == 0 -> 1 : 0)
#define STEP steps[RIVAL] = 0; \
  steps[me] = (dead[RIVAL] || steps[me] == RATIO -> steps[me] : steps[me] + 1)
#define MY_TURN (!dead[me] && (RATIO == 0 || dead[RIVAL] || steps[me] < RATIO))

inline forget() { atomic {
  call[me].claim_at = NOWHERE; call[me].claim_state = 0; call[me].own = false;
  call[me].victim_at = NOWHERE; call[me].seen_state = 0; position = 0; i = 0; n = 0 } }

inline fresh_nonce() { d_step {
  n = 1; i = 0;
  do
  :: i < SLOTS && state[i] == n -> n++; i = 0
  :: i < SLOTS && state[i] != n -> i++
  :: i >= SLOTS && i < SLOTS + CALLERS && (call[i - SLOTS].claim_state == n ||
       call[i - SLOTS].seen_state == n || call[i - SLOTS].stale_nonce == n) -> n++; i = 0
  :: i >= SLOTS && i < SLOTS + CALLERS && call[i - SLOTS].claim_state != n &&
       call[i - SLOTS].seen_state != n && call[i - SLOTS].stale_nonce != n -> i++
  :: i == SLOTS + CALLERS -> break
  od;
  i = 0 } }

inline withdraw() { atomic { MY_TURN -> STEP; /* (e) */
  n = SLOT_AT(call[me].claim_at);
  if
  :: call[me].own && tag[n] == TENTATIVE(key) && state[n] == call[me].claim_state ->
       tag[n] = FREE; state[n] = 0
  :: else
  fi;
  n = 0 } }

proctype caller(byte me; byte key) {
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
       :: tag[n] == MEMBER(key) -> n = 0; goto ended
       :: tag[n] == TENTATIVE(key) && call[me].claim_at == NOWHERE ->
#ifdef BUG_BLOCKS
            tag[n] != TENTATIVE(key);
            n = 0; goto retry
#elif defined(BUG_WAITS)
            n = 0; goto retry
#else
            call[me].claim_at = position; call[me].claim_state = state[n]
#endif
       :: tag[n] == FREE && call[me].victim_at == NOWHERE -> call[me].victim_at = position
       :: tag[n] == FREE
       :: else
       fi;
       position++; n = 0 }
  :: atomic { position == LIST -> position = 0; break }
  od;
  if
  :: atomic { call[me].claim_at != NOWHERE -> call[me].victim_at = NOWHERE; goto resolve }
  :: atomic { call[me].claim_at == NOWHERE && call[me].victim_at != NOWHERE -> goto claim }
  :: call[me].claim_at == NOWHERE && call[me].victim_at == NOWHERE
  fi;

  /* choose_victim: a free slot; else the first tentative, if it stood still over so many scans */
  do
  :: atomic { position < LIST && MY_TURN -> STEP;
       n = SLOT_AT(position);
       if
       :: tag[n] == FREE ->
            call[me].victim_at = position; call[me].seen_state = 0; n = 0; goto claim
       :: tag[n] == TENTATIVE(key) || tag[n] == MEMBER(key) -> goto retry
       :: tag[n] == TENTATIVE(3 - key) && call[me].victim_at == NOWHERE ->
            call[me].victim_at = position; call[me].seen_state = state[n]
       :: else
       fi;
       position++; n = 0 }
  :: atomic { position == LIST ->
       if
       :: call[me].victim_at == NOWHERE -> goto ended /* full */
       :: else
       fi;
       call[me].stale_scans = (call[me].seen_state == call[me].stale_nonce ->
                               call[me].stale_scans + 1 : 1);
       call[me].stale_nonce = call[me].seen_state;
#ifdef BUG_NEVER_STALE
       goto retry
#else
       if
       :: call[me].stale_scans < STALE_SCANS -> goto retry
       :: else -> goto claim
       fi
#endif
     }
  od;

claim:
  atomic { MY_TURN -> STEP;
    n = SLOT_AT(call[me].victim_at);
    if
    :: tag[n] == (call[me].seen_state == 0 -> FREE : TENTATIVE(3 - key)) &&
       state[n] == call[me].seen_state -> /* (a) (c) */
         call[me].seen_state = 0;
         fresh_nonce();
         i = SLOT_AT(call[me].victim_at);
         tag[i] = TENTATIVE(key); state[i] = n;
         call[me].claim_at = call[me].victim_at; call[me].claim_state = n; call[me].own = true;
         call[me].victim_at = NOWHERE; position = 0; i = 0; n = 0
    :: else -> goto retry
    fi };

resolve:
  do
  :: atomic { position < LIST && position == call[me].claim_at -> position++ }
  :: atomic { position < LIST && position != call[me].claim_at && MY_TURN -> STEP;
       n = SLOT_AT(position);
       if
       :: tag[n] == MEMBER(key) -> i = 1
#ifdef BUG_KILLS_EARLIER
       :: tag[n] == TENTATIVE(key) && position < call[me].claim_at -> i = 3
#else
       :: tag[n] == TENTATIVE(key) && position < call[me].claim_at -> i = 2
#endif
       :: tag[n] == TENTATIVE(key) && position > call[me].claim_at -> i = 3
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
            :: tag[n] == TENTATIVE(key) && state[n] == call[me].seen_state ->
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
    :: tag[n] == TENTATIVE(key) && state[n] == call[me].claim_state ->
         tag[n] = MEMBER(key); state[n] = 0
    :: else -> goto retry
    fi };

ended:
progress:
  atomic { /* the member is idle, and freed */
    i = 0;
    do
    :: i < SLOTS -> tag[i] = (tag[i] == MEMBER(key) -> FREE : tag[i]); i++
    :: else -> break
    od;
    i = 0; n = 0 };
  goto again
}

/* Of the processes at most all but one. */
proctype death() {
  byte deaths, who;
end:
  do
  :: atomic { deaths < CALLERS - 1 ->
       select (who : 0 .. CALLERS - 1);
       dead[who] = true; deaths++; who = 0 }
  od
}

proctype others() {
  byte at, turns;
end:
  do
  :: atomic { turns < ADVERSE ->
       turns++;
       select (at : 0 .. SLOTS - 1);
       state[at] = 0;
       if
       :: tag[at] = FREE
       :: tag[at] = OTHER
       fi;
       at = 0 }
  od
}

init {
  byte p;
  atomic {
    do
    :: p < CALLERS ->
         call[p].claim_at = NOWHERE; call[p].victim_at = NOWHERE;
         run caller(p, KEY_OF(p)); p++
    :: else -> break
    od;
    p = 0;
    run death(); run others()
  }
}
