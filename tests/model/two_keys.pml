/* Two keys that want the same slots, with debts and a clock: shm/table.hpp under src/rules.hpp and
   src/token_bucket.hpp. Read it beside the first; words and letters (a) .. (i) are the same.

   Modelled     ONES callers of key 1 and TWOS of key 2, whose lists name the same SLOTS slots in
                opposite order; a token bucket with interval 1 and burst BURST; a clock that goes on
                at any time up to END. They call for ever; each takes or finds its slot, charges
                it, claims free slots, overwrites idle members, displaces tentatives of the other
                key, and with -DEVICT its owing members, too. -DREAPER adds one who frees idle
                members. A clock reading is a step of its own, so a call may be stopped between
                reading the clock and its compare-and-swap while all else goes on.
   Death, nonces, memory order: as insert.pml says, which has torn readings, too.
   Abstracted   - find() and scan() are one scan. Which slot take_slot prefers, and how long a
                tentative stands before it is displaced, is left open: more behaviours.
                - Whether a member is idle is judged at the instant of the compare-and-swap that
                takes it. The code judges before it; but idle stays idle while its 16 bytes stand.
   Asserted     S: at most one MEMBER per key.
                A: of the calls that lie wholly in a window of length T, at most BURST + T are
                   admitted. A call counts at the instant at which it read the clock. It is in
                   flight until its compare-and-swap; so a window that ends now is checked at each
                   admission, for each beginning. An eviction begins the count anew: it is on top.
                D: no transition but an eviction takes the slot of a key that owes something.

   Mutants:
     BUG_FIRST_IS_EARLY      A  the first charge is computed before the claim, by a clock read then
     BUG_IDLE_IS_ZERO        A  another's claim is promoted with state 0, not with the time
     BUG_OVERWRITE_STORES    D  an idle member, once judged, is overwritten by a plain store
     BUG_WITHDRAW_STORES     D  withdraw is a plain store
     BUG_PROMOTE_STORES      D  so is promote
     BUG_STEP_STORES         A  so is a charge
     BUG_NO_KILL             S
     BUG_NO_EARLIER_WINS     S
     BUG_REAPER_UNCHECKED    D  (REAPER) members are freed whether idle or not
     BUG_REAPER_STORES       D  (REAPER) members are freed by a plain store, once judged */

#ifndef SLOTS
#define SLOTS 2
#endif
#ifndef ONES
#define ONES 2
#endif
#ifndef TWOS
#define TWOS 1
#endif
#ifndef BURST
#define BURST 1
#endif
#ifndef END
#define END 2
#endif
#define CALLERS (ONES + TWOS)

/* What a slot holds: whose, and what. */
#define FREE 0
#define TENTATIVE(key) (key)     /* state = a nonce */
#define MEMBER(key) (2 + (key))  /* state = the TAT */
#define is_member(tag) ((tag) > 2)
#define is_tentative(tag) ((tag) == 1 || (tag) == 2)
#define key_of(tag) (is_member(tag) -> (tag) - 2 : (tag))
typedef Words { byte tag; byte state };
Words slot[SLOTS];

/* Above all TATs. */
#define NONCE_FIRST (END + BURST + 2)

/* What a call carries; global, so that everybody sees which nonces are remembered. */
#define NOWHERE SLOTS
typedef Call {
  byte claim_at;
  byte claim_state;
  bool own;
  byte seen_state
};
Call call[CALLERS];

byte time;

/* The oracle, which knows no slots: of each key the admitted calls, by the instant of each. */
typedef Admitted { byte counts_at[END + 1] };
Admitted admitted[3];

#define SLOT_AT(position) (me < ONES -> (position) : SLOTS - 1 - (position))
#define AT(position) slot[SLOT_AT(position)]
#ifdef EVICT
#define MAY_GO(tat) true
#else
#define MAY_GO(tat) ((tat) <= time)
#endif
#define later(a, b) ((a) > (b) -> (a) : (b))

/* A: a call of `key` that read the clock at `t` is admitted now. */
inline admit(key, t) { d_step {
  admitted[key].counts_at[t]++;
  i = t + 1; n = 0; /* windows that begin after t do not hold this call */
  do
  :: i < END + 1 -> n = n + admitted[key].counts_at[i]; i++
  :: else -> break
  od;
  i = t;
  do
  :: n = n + admitted[key].counts_at[i];
     assert(n <= BURST + time - i); /* A: at most the burst and what came back */
     if
     :: i == 0 -> break
     :: else -> i--
     fi
  od;
  i = 0; n = 0 } }

/* Replaces the words of slot[at], come what may; here S and D are asserted. */
inline put(new_tag, new_state) { d_step {
  if
  :: is_member(slot[at].tag) && slot[at].tag != new_tag && slot[at].state > time ->
#ifdef EVICT
       i = 0;
       do
       :: i <= END -> admitted[key_of(slot[at].tag)].counts_at[i] = 0; i++
       :: else -> break
       od
#else
       assert(false) /* D: what a key owes is not forgotten */
#endif
  :: else
  fi;
  slot[at].tag = new_tag; slot[at].state = new_state;
  i = 0; n = 0;
  do
  :: i < SLOTS -> n = n + (is_member(new_tag) && slot[i].tag == new_tag -> 1 : 0); i++
  :: else -> break
  od;
  assert(n <= 1); /* S: at most one member per key */
  i = 0; n = 0; at = 0 } }

inline forget() { d_step {
  call[me].claim_at = NOWHERE; call[me].claim_state = 0; call[me].own = false;
  call[me].seen_state = 0; position = 0; now = 0; tat = 0; i = 0; n = 0 } }

/* n = a nonce that nobody remembers */
inline fresh_nonce() { d_step {
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
  i = 0 } }

inline withdraw() { atomic { /* (e) */
  if
#ifdef BUG_WITHDRAW_STORES
  :: call[me].own -> at = SLOT_AT(call[me].claim_at); put(FREE, 0)
#else
  :: call[me].own && AT(call[me].claim_at).tag == TENTATIVE(key) &&
     AT(call[me].claim_at).state == call[me].claim_state ->
       at = SLOT_AT(call[me].claim_at); put(FREE, 0)
#endif
  :: else
  fi } }

proctype caller(byte me; byte key) {
  byte position, now, tat, at, i, n;
again:
  atomic { forget() };
#ifdef BUG_FIRST_IS_EARLY
  atomic { now = time };
#endif

  /* find, and scan */
  do
  :: atomic { position < SLOTS && AT(position).tag == MEMBER(key) ->
       call[me].seen_state = AT(position).state };
     goto step
  :: atomic { position < SLOTS && AT(position).tag == TENTATIVE(key) &&
              call[me].claim_at == NOWHERE ->
       call[me].claim_at = position; call[me].claim_state = AT(position).state; position++ }
  :: atomic { position < SLOTS && AT(position).tag != MEMBER(key) &&
              !(AT(position).tag == TENTATIVE(key) && call[me].claim_at == NOWHERE) -> position++ }
  :: atomic { position == SLOTS -> position = 0; break }
  od;

  /* take_slot */
  if
  :: atomic { call[me].claim_at == NOWHERE ->
       if
       :: position = 0
       :: position = SLOTS - 1
       :: goto again /* a rival was faster, or the list is full */
       fi;
       if
       :: AT(position).tag == FREE                                   /* (a) */
       :: is_member(AT(position).tag) && AT(position).tag != MEMBER(key) &&
          MAY_GO(AT(position).state)                                 /* (b), or (d) */
#ifdef BUG_OVERWRITE_STORES
          -> goto overwrite
#endif
       :: is_tentative(AT(position).tag) && AT(position).tag != TENTATIVE(key) /* (c) */
       :: else -> goto again
       fi;
       fresh_nonce();
       call[me].claim_at = position; call[me].claim_state = n; call[me].own = true;
       position = 0;
       at = SLOT_AT(call[me].claim_at); put(TENTATIVE(key), call[me].claim_state) }
  :: atomic { call[me].claim_at != NOWHERE -> skip }
  fi;
#ifdef BUG_OVERWRITE_STORES
  goto resolve;
overwrite:
  atomic {
    fresh_nonce();
    call[me].claim_at = position; call[me].claim_state = n; call[me].own = true;
    position = 0;
    at = SLOT_AT(call[me].claim_at); put(TENTATIVE(key), call[me].claim_state) };
resolve:
#endif

  /* resolve */
  do
  :: atomic { position < SLOTS && (position == call[me].claim_at ||
              key_of(AT(position).tag) != key) -> position++ }
  :: atomic { position < SLOTS && position != call[me].claim_at &&
              AT(position).tag == MEMBER(key) };
       withdraw();
       goto again
  :: atomic { position < SLOTS && position != call[me].claim_at &&
              AT(position).tag == TENTATIVE(key) -> call[me].seen_state = AT(position).state };
     if
     :: position < call[me].claim_at ->
#ifdef BUG_NO_EARLIER_WINS
          atomic { position++; call[me].seen_state = 0 }
#else
          withdraw();
          atomic {
            call[me].claim_at = position; call[me].claim_state = call[me].seen_state;
            call[me].own = false; call[me].seen_state = 0; position = 0 }
#endif
     :: atomic { position > call[me].claim_at ->
#ifdef BUG_NO_KILL
          position++
#else
          if
          :: AT(position).tag == TENTATIVE(key) && AT(position).state == call[me].seen_state ->
               at = SLOT_AT(position); put(FREE, 0); position++ /* (f) */
          :: else -> position = 0
          fi
#endif
          ; call[me].seen_state = 0 }
     fi
  :: atomic { position == SLOTS -> position = 0; break }
  od;

  /* (g) promote */
#ifndef BUG_FIRST_IS_EARLY
  atomic { now = time };
#endif
  atomic {
    if
#ifdef BUG_PROMOTE_STORES
    :: true ->
#else
    :: AT(call[me].claim_at).tag == TENTATIVE(key) &&
       AT(call[me].claim_at).state == call[me].claim_state ->
#endif
         if
         :: call[me].own ->
              at = SLOT_AT(call[me].claim_at); put(MEMBER(key), now + 1); admit(key, now)
#ifdef BUG_IDLE_IS_ZERO
         :: else -> at = SLOT_AT(call[me].claim_at); put(MEMBER(key), 0)
#else
         :: else -> at = SLOT_AT(call[me].claim_at); put(MEMBER(key), now)
#endif
         fi
    :: else
    fi };
  goto again;

  /* (h) try_step: the slot was read; then the clock; then one compare-and-swap */
step:
  atomic { now = time };
  atomic {
    if
    :: later(call[me].seen_state, now) + 1 - now > BURST /* denied: nothing changes */
    :: later(call[me].seen_state, now) + 1 - now <= BURST &&
#ifdef BUG_STEP_STORES
       AT(position).tag == MEMBER(key) ->
#else
       AT(position).tag == MEMBER(key) && AT(position).state == call[me].seen_state ->
#endif
         at = SLOT_AT(position); tat = later(call[me].seen_state, now) + 1;
         put(MEMBER(key), tat);
         admit(key, now)
    :: else /* a rival's was faster */
    fi };
  goto again
}

proctype clock() {
end:
  do
  :: atomic { time < END -> time++ }
  od }

#ifdef REAPER
/* Frees idle members, and reads no lists. */
proctype reaper() {
  byte which, seen_tag, seen_state, at, i, n;
  do
  :: atomic {
       if
       :: which = 0
       :: which = SLOTS - 1
       fi;
#ifdef BUG_REAPER_UNCHECKED
       is_member(slot[which].tag) ->
#else
       is_member(slot[which].tag) && slot[which].state <= time ->
#endif
       seen_tag = slot[which].tag; seen_state = slot[which].state };
     atomic { /* (i) */
       if
#ifdef BUG_REAPER_STORES
       :: true -> at = which; put(FREE, 0)
#else
       :: slot[which].tag == seen_tag && slot[which].state == seen_state -> at = which; put(FREE, 0)
#endif
       :: else
       fi;
       which = 0; seen_tag = 0; seen_state = 0 }
  od }
#endif

init {
  byte p;
  atomic {
    do
    :: p < CALLERS -> call[p].claim_at = NOWHERE; run caller(p, (p < ONES -> 1 : 2)); p++
    :: else -> break
    od;
    run clock(); p = 0;
#ifdef REAPER
    run reaper()
#endif
  } }
