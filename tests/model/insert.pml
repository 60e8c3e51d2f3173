/* How a key gets its one slot, as shm/table.hpp does it: insert_absent, scan, take_slot, resolve,
   withdraw. Read it beside that page; words and letters (a) .. (i) are the same.

   Modelled     CALLERS processes insert one key into SLOTS candidate slots, call after call, for
                ever; and an adversary does to the slots what others may do, as often as it likes.
                A step is one load or one compare-and-swap of a slot, and whatever a process does on
                its own until the next: an atomic{} each. The search is exhaustive, over any number
                of calls, retries and adversary's steps.
   Death        A process that is killed or stopped is one that takes no more steps. Nobody asks
                whether another lives, so each prefix of each run, with anybody missing from any
                step on, is already among the interleavings: there is nothing to add for it.
   Nonces       The code counts them up and never repeats one. Here a fresh one is the lowest that
                no slot holds and no process remembers. Nonces are only compared for equality, so
                nobody can tell the difference, and the states are finite.
   Abstracted   - Debt, time and policies: a member is a member (two_keys.pml has them). find() is
                  left out: it only reads, and what it finds scan() finds again.
                - take_slot's choice. Here any slot of the list that is not our key's may be taken
                  at the instant of the compare-and-swap, and any claim may be given up: more
                  behaviours than the code has, so what holds here holds there.
                - Bounded retries: here there is no bound, which is more again.
                - Memory order: loads and compare-and-swaps are in one order for all, which is what
                  slot.hpp asks of the machine.
   -DTORN       The two 8-byte loads of words() are two steps, and members change their state
                between them. Without it a slot is read at once.
   -DCALLS=n    each process ends after so many tries (with -DONCE=m, the first m after one), and
                -DADVERSE=n the adversary after so many steps: smaller searches, where a mutant
                needs more processes.
   Asserted     S: at most one slot is MEMBER.

   Mutants, each a rule left out, so that S must fail:
     BUG_NAIVE             no tentative: the first free slot becomes the member
     BUG_NO_LAST_SCAN      a claim is promoted without looking at the list again
     BUG_NO_KILL           a later tentative is passed over
     BUG_NO_EARLIER_WINS   an earlier tentative is passed over
     BUG_NONCE_REPEATS     each process has but one nonce
     BUG_PROMOTE_STORES    promote looks for nothing: a plain store
     BUG_PROMOTE_BY_TAG    promote compares the tag, not the nonce: an 8-byte compare-and-swap
     BUG_KILL_UNCHECKED    a kill that failed counts as done
     BUG_SCAN_GOES_ON      after a claim was given up for an earlier one, the scan goes on
     BUG_TORN_PASSED_OVER  (TORN) a tentative whose state reads 0 is passed over
     BUG_NONCE_LIKE_DEBT   (TORN) a member's state may have the value of a nonce
   What is no rule of S: that the list has one order for all. Two that each kill what is later on a
   list of its own kill each other, and none becomes the member (BUG_NO_ORDER holds here; it is the
   order that makes one of them win: progress.pml). */

#ifndef SLOTS
#define SLOTS 3
#endif
#ifndef CALLERS
#define CALLERS 2
#endif
#ifndef ONCE
#define ONCE 0
#endif

/* What a slot holds. A slot of other keys is OTHER, whatever its state. */
#define FREE 0
#define OTHER 1
#define TENTATIVE 2
#define MEMBER 3
typedef Words { byte tag; byte state };
Words slot[SLOTS];

/* A member's state: IDLE, or OWING where it matters. All above are nonces. */
#define IDLE 0
#ifdef TORN
#define OWING 1
#else
#define OWING 0
#endif
#define NONCE_FIRST 2

/* What a call carries. Global, so that everybody sees which nonces are remembered. */
#define NOWHERE SLOTS
typedef Call {
  byte claim_at;    /* the position we mean to make the member, */
  byte claim_state; /* the nonce it held, */
  bool own;         /* and whose it is */
  byte seen_state   /* of the tentative that is about to be killed */
};
Call call[CALLERS];

/* The same order of the list for all. */
#ifdef BUG_NO_ORDER
#define SLOT_AT(position) ((position + me) % SLOTS)
#else
#define SLOT_AT(position) (position)
#endif
#define AT(position) slot[SLOT_AT(position)]

inline forget() { d_step {
  call[me].claim_at = NOWHERE; call[me].claim_state = 0; call[me].own = false;
  call[me].seen_state = 0; position = 0; i = 0; n = 0 } }

#ifdef BUG_NONCE_LIKE_DEBT
bool owing_was_a_nonce; /* never repeated, but the value of a debt, too */
#endif

/* n = a nonce that nobody remembers */
inline fresh_nonce() { d_step {
#ifdef BUG_NONCE_REPEATS
  n = NONCE_FIRST + me;
#else
  n = NONCE_FIRST; i = 0;
  do
  :: i < SLOTS && slot[i].state == n -> n++; i = 0
  :: i < SLOTS && slot[i].state != n -> i++
  :: i >= SLOTS && i < SLOTS + CALLERS &&
     (call[i - SLOTS].claim_state == n || call[i - SLOTS].seen_state == n) -> n++; i = 0
  :: i >= SLOTS && i < SLOTS + CALLERS &&
     call[i - SLOTS].claim_state != n && call[i - SLOTS].seen_state != n -> i++
  :: i == SLOTS + CALLERS -> break
  od;
  i = 0
#endif
  };
#ifdef BUG_NONCE_LIKE_DEBT
  if
  :: !owing_was_a_nonce -> owing_was_a_nonce = true; n = OWING
  :: true
  fi
#endif
}

/* (g), the compare-and-swap itself */
inline become_member() { d_step {
  AT(call[me].claim_at).tag = MEMBER;
  AT(call[me].claim_at).state = (call[me].own -> OWING : IDLE);
  i = 0; n = 0;
  do
  :: i < SLOTS -> n = n + (slot[i].tag == MEMBER -> 1 : 0); i++
  :: else -> break
  od;
  assert(n <= 1); /* S: at most one member per key */
  i = 0; n = 0 } }

/* (e): if it fails, somebody else already ended our claim. */
inline withdraw() { atomic {
  if
  :: call[me].own && AT(call[me].claim_at).tag == TENTATIVE &&
     AT(call[me].claim_at).state == call[me].claim_state ->
       AT(call[me].claim_at).tag = FREE; AT(call[me].claim_at).state = 0
  :: else
  fi } }

/* The second load of words(): a step of its own only if TORN. */
#ifdef TORN
#define BETWEEN_LOADS } atomic {
#else
#define BETWEEN_LOADS
#endif
#ifdef BUG_TORN_PASSED_OVER
#define READS_AS_TENTATIVE(state) (state != 0)
#else
#define READS_AS_TENTATIVE(state) true
#endif

proctype caller(byte me) {
  byte position, i, n;
#ifdef CALLS
  byte calls = 0;
#endif
again:
  atomic {
    forget();
#ifdef CALLS
    if
    :: calls == (me < ONCE -> 1 : CALLS) -> goto done
    :: else -> calls++
    fi
#endif
  };

  /* insert_absent, step 1: scan */
  do
  :: atomic { position < SLOTS && AT(position).tag == MEMBER -> goto again } /* use it */
  :: atomic { position < SLOTS && AT(position).tag == TENTATIVE && call[me].claim_at == NOWHERE ->
       skip;
       BETWEEN_LOADS
       if
       :: READS_AS_TENTATIVE(AT(position).state) ->
            call[me].claim_at = position; call[me].claim_state = AT(position).state
       :: else
       fi;
       position++ }
  :: atomic { position < SLOTS && AT(position).tag != MEMBER &&
              !(AT(position).tag == TENTATIVE && call[me].claim_at == NOWHERE) -> position++ }
  :: atomic { position == SLOTS -> position = 0; break }
  od;

#ifdef BUG_NAIVE
  do
  :: atomic { position < SLOTS && AT(position).tag == FREE ->
       call[me].claim_at = position; call[me].own = true; become_member(); goto again }
  :: atomic { position < SLOTS && AT(position).tag != FREE -> position++ }
  :: atomic { position == SLOTS -> goto again }
  od;
#endif

  /* take_slot */
  if
  :: atomic { call[me].claim_at == NOWHERE ->
       if
       :: position = 0
       :: position = 1
#if SLOTS > 2
       :: position = 2
#endif
#if SLOTS > 3
       :: position = 3
#endif
       :: goto again /* a rival was faster, or nothing could be had */
       fi;
       if
       :: AT(position).tag == FREE || AT(position).tag == OTHER -> /* (a) (b) (c) (d) */
            fresh_nonce();
            AT(position).tag = TENTATIVE; AT(position).state = n;
            call[me].claim_at = position; call[me].claim_state = n; call[me].own = true;
            position = 0; n = 0
       :: else -> goto again
       fi }
  :: atomic { call[me].claim_at != NOWHERE -> skip }
  fi;

  /* step 2: resolve */
#ifndef BUG_NO_LAST_SCAN
  do
  :: atomic { position < SLOTS && (position == call[me].claim_at ||
              AT(position).tag == FREE || AT(position).tag == OTHER) -> position++ }
  :: atomic { position < SLOTS && position != call[me].claim_at && AT(position).tag == MEMBER };
       withdraw();
       goto again
  :: atomic { position < SLOTS && position != call[me].claim_at &&
              AT(position).tag == TENTATIVE -> skip;
       BETWEEN_LOADS
       call[me].seen_state = AT(position).state };
     if
#ifdef BUG_TORN_PASSED_OVER
     :: atomic { !READS_AS_TENTATIVE(call[me].seen_state) -> position++; call[me].seen_state = 0 }
#endif
     :: READS_AS_TENTATIVE(call[me].seen_state) && position < call[me].claim_at ->
#ifdef BUG_NO_EARLIER_WINS
          atomic { position++; call[me].seen_state = 0 }
#else
          withdraw();
          atomic {
            call[me].claim_at = position; call[me].claim_state = call[me].seen_state;
            call[me].own = false; call[me].seen_state = 0;
#ifdef BUG_SCAN_GOES_ON
            position++
#else
            position = 0
#endif
          }
#endif
     :: atomic { READS_AS_TENTATIVE(call[me].seen_state) && position > call[me].claim_at ->
#ifdef BUG_NO_KILL
          position++
#else
          if
          :: AT(position).tag == TENTATIVE && AT(position).state == call[me].seen_state ->
               AT(position).tag = FREE; AT(position).state = 0; position++ /* (f) */
#ifdef BUG_KILL_UNCHECKED
          :: else -> position++
#else
          :: else -> position = 0
#endif
          fi
#endif
          ; call[me].seen_state = 0 }
     fi
  :: atomic { position == SLOTS -> position = 0; break }
  od;
#endif

  /* step 3: promote; own or another's, it is used by the next call, or by a retry */
  atomic {
    if
#ifdef BUG_PROMOTE_STORES
    :: true -> become_member()
#elif defined(BUG_PROMOTE_BY_TAG)
    :: AT(call[me].claim_at).tag == TENTATIVE -> become_member()
    :: else
#else
    :: AT(call[me].claim_at).tag == TENTATIVE &&
       AT(call[me].claim_at).state == call[me].claim_state -> become_member() /* (g) */
    :: else
#endif
    fi };
  goto again;
#ifdef CALLS
done:
  skip
#endif
}

/* All that anybody else may do to a slot, at any time and for no reason. */
proctype others() {
  byte at, i, n;
#ifdef ADVERSE
  byte steps = 0;
#define MAY_STEP steps < ADVERSE -> steps++
#else
#define MAY_STEP true
#endif
end:
  do
  :: atomic {
       MAY_STEP;
       if
       :: at = 0
       :: at = 1
#if SLOTS > 2
       :: at = 2
#endif
#if SLOTS > 3
       :: at = 3
#endif
       fi;
       if
       :: slot[at].tag = FREE; slot[at].state = 0;     /* (i); another key's withdrawal */
       :: slot[at].tag = OTHER; slot[at].state = IDLE; /* a claim, (b), (c), (d), of another key */
#ifdef TORN
       :: slot[at].tag = OTHER; slot[at].state = OWING
       :: fresh_nonce(); slot[at].tag = OTHER; slot[at].state = n
       :: slot[at].tag == MEMBER -> slot[at].state = OWING - slot[at].state /* (h) */
#endif
       fi;
       at = 0; n = 0 }
  od
}

init {
  byte p;
  atomic {
    do
    :: p < CALLERS -> call[p].claim_at = NOWHERE; run caller(p); p++
    :: else -> break
    od;
    run others(); p = 0 }
}
