/* The life of one slot: charged, found idle, reaped, overwritten, reset, and taken again, always
   beside a bucket that is kept apart and knows nothing of slots. Read it beside shm/table.hpp
   (try_step, insert_absent, free_if) and src/rules.hpp; words and letters (a) .. (i) are theirs.

   Modelled     CALLERS callers of one key, for ever, at a cost from 1 to COST_MAX; a token bucket
                with interval 1 and burst BURST; one slot; another key that wants it and overwrites
                it when idle; a reaper; one who resets the key, owing or not (-DRESET); a clock that
                goes on at any time up to END. Each load, clock reading and compare-and-swap is a
                step.
   Death, nonces, memory order: as insert.pml says.
   Abstracted   More than one slot, and so all that S is about: insert.pml proves it.
   Asserted     A: the slot (one that is not there is idle) owes at each instant exactly what the
                   bucket does: no charge is lost, no debt forgotten early, nothing charged twice.
                   A call counts at the instant at which it read the clock.
                D: a denial is true: the bucket, too, denies at the instant the slot was read.

   Mutants:
     BUG_STEP_STORES         A  a charge is a plain store: one of two is lost
     BUG_CAS_STATE_ONLY      A  a charge compares and swaps 8 bytes, the state: it may hit a slot
                                that has changed hands
     BUG_CAS_TAG_ONLY        A  it compares the tag alone
     BUG_REAPER_UNCHECKED    A  members are freed whether idle or not
     BUG_REAPER_STORES       A  freed by a plain store, once judged
     BUG_OVERWRITE_STORES    A  overwritten by a plain store, once judged
     BUG_FIRST_IS_EARLY      A  the first charge is computed before the claim, by a clock read then
     BUG_IDLE_IS_ZERO        A  another's claim becomes a member with state 0 instead of the time:
                                the same 16 bytes come back, and a stale step is taken for fresh
     BUG_HELPER_CHARGES      A  another's claim is promoted with our charge, and then charged again
     BUG_CLOCK_BEFORE_SLOT   D  a step reads the clock first: an old time meets a new debt */

#ifndef CALLERS
#define CALLERS 2
#endif
#ifndef BURST
#define BURST 2
#endif
#ifndef COST_MAX
#define COST_MAX 2
#endif
#ifndef END
#define END 3
#endif

/* What the slot holds. */
#define FREE 0
#define TENTATIVE 1        /* of our key; state = a nonce */
#define MEMBER 2           /* of our key; state = the TAT */
#define OTHER_TENTATIVE 3
#define OTHER_MEMBER 4
byte tag, state;

byte time;
byte truth; /* the bucket's TAT */
#define NONCE_FIRST (END + BURST + 1)

/* What a call remembers of the slot; global because of the nonces. */
byte seen_tag[CALLERS], seen_state[CALLERS];

#define later(a, b) ((a) > (b) -> (a) : (b))
#define owes(tat) ((tat) > time -> (tat) - time : 0)

/* A: after every change. A tentative, or another's slot, owes nothing for our key. */
inline compare() {
  assert(owes((tag == MEMBER -> state : 0)) == owes(truth)) /* A: neither lost nor invented */
}

/* The bucket takes a charge by a clock read at t. */
inline charge(t, cost) { truth = later(truth, t) + cost }

/* n = a nonce that nobody remembers */
inline fresh_nonce() { d_step {
  n = NONCE_FIRST; i = 0;
  do
  :: state == n -> n++; i = 0
  :: state != n && i < CALLERS && seen_state[i] == n -> n++; i = 0
  :: state != n && i < CALLERS && seen_state[i] != n -> i++
  :: state != n && i == CALLERS -> break
  od;
  i = 0 } }

proctype caller(byte me) {
  byte now, cost, i, n;
  bool denies, own;
again:
  atomic {
    now = 0; n = 0; denies = false; own = false; seen_tag[me] = FREE; seen_state[me] = 0;
    select (cost : 1 .. COST_MAX)
  };
#ifdef BUG_CLOCK_BEFORE_SLOT
  atomic { now = time };
#endif

  /* words() */
  atomic {
    seen_tag[me] = tag; seen_state[me] = state;
    denies = owes(truth) + cost > BURST;
    if
    :: tag == MEMBER
    :: else -> goto insert
    fi };

  /* (h) try_step */
#ifndef BUG_CLOCK_BEFORE_SLOT
  atomic { now = time };
#endif
  atomic {
    n = later(seen_state[me], now) + cost;
    if
    :: n - now > BURST ->
         if
         :: tag == MEMBER && state == seen_state[me] -> assert(denies) /* D: true */
         :: else /* the two readings do not agree */
         fi
#ifdef BUG_STEP_STORES
    :: n - now <= BURST -> tag = MEMBER; state = n; charge(now, cost)
#elif defined(BUG_CAS_STATE_ONLY)
    :: n - now <= BURST && state == seen_state[me] -> state = n; charge(now, cost)
#elif defined(BUG_CAS_TAG_ONLY)
    :: n - now <= BURST && tag == MEMBER -> state = n; charge(now, cost)
#else
    :: n - now <= BURST && tag == MEMBER && state == seen_state[me] ->
         state = n; charge(now, cost)
#endif
    :: else /* a rival's was faster */
    fi;
    compare() };
  goto again;

insert:
#ifdef BUG_FIRST_IS_EARLY
  atomic { now = time };
#endif
  atomic {
    if
    :: seen_tag[me] == TENTATIVE /* another's: we finish it */
    :: (seen_tag[me] == FREE || seen_tag[me] == OTHER_TENTATIVE ||
        (seen_tag[me] == OTHER_MEMBER && seen_state[me] <= time)) &&
       tag == seen_tag[me] && state == seen_state[me] -> /* (a) (b) (c) */
         fresh_nonce();
         tag = TENTATIVE; state = n; own = true;
         seen_tag[me] = TENTATIVE; seen_state[me] = n; n = 0
    :: else -> goto again
    fi };
  if
  :: own -> /* (e): there may be a member elsewhere, in the code */
     atomic {
       if
       :: tag == TENTATIVE && state == seen_state[me] -> tag = FREE; state = 0
       :: else
       fi };
     goto again
  :: true
  fi;
  /* (g) */
#ifndef BUG_FIRST_IS_EARLY
  atomic { now = time };
#endif
  atomic {
    if
    :: tag == TENTATIVE && state == seen_state[me] ->
         tag = MEMBER;
         if
         :: own -> state = now + cost; charge(now, cost)
#ifdef BUG_IDLE_IS_ZERO
         :: else -> state = 0
#elif defined(BUG_HELPER_CHARGES)
         :: else -> state = now + cost
#else
         :: else -> state = now
#endif
         fi
    :: else
    fi;
    compare() };
  goto again
}

/* Another key: takes the slot when it may, owes something or not, and is freed some time. */
proctype other() {
  do
  :: atomic { tag == FREE -> tag = OTHER_TENTATIVE; state = 0 }
  :: atomic { tag == TENTATIVE -> tag = OTHER_TENTATIVE; state = 0 } /* (c) */
#ifdef BUG_OVERWRITE_STORES
  :: atomic { tag == MEMBER && state <= time };
     atomic { tag = OTHER_TENTATIVE; state = 0; compare() }
#else
  :: atomic { tag == MEMBER && state <= time -> tag = OTHER_TENTATIVE; state = 0; compare() }
#endif
  :: atomic { tag == OTHER_TENTATIVE -> tag = OTHER_MEMBER; state = time }
  :: atomic { tag == OTHER_TENTATIVE -> tag = OTHER_MEMBER; state = time + 1 }
  :: atomic { tag == OTHER_MEMBER && state <= time -> tag = FREE; state = 0 }
  od
}

/* (i) by free_if, when idle; and by reset, at any time. */
proctype reaper() {
  byte words;
end:
  do
#ifdef BUG_REAPER_UNCHECKED
  :: atomic { tag == MEMBER -> words = state };
#else
  :: atomic { tag == MEMBER && state <= time -> words = state };
#endif
     atomic {
       if
#ifdef BUG_REAPER_STORES
       :: tag == MEMBER -> tag = FREE; state = 0
#else
       :: tag == MEMBER && state == words -> tag = FREE; state = 0
#endif
       :: else
       fi;
       words = 0;
       compare() }
  od
}
#ifdef RESET
proctype operator() {
  byte words;
end:
  do
  :: atomic { tag == MEMBER -> words = state };
     atomic {
       if
       :: tag == MEMBER && state == words -> tag = FREE; state = 0; truth = 0
       :: else
       fi;
       words = 0;
       compare() }
  od
}
#endif

proctype clock() {
end:
  do
  :: atomic { time < END -> time++; compare() }
  od
}

init {
  byte p;
  atomic {
    do
    :: p < CALLERS -> run caller(p); p++
    :: else -> break
    od;
    p = 0;
    run other(); run reaper(); run clock();
#ifdef RESET
    run operator()
#endif
  }
}
