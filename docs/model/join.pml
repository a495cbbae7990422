/* A device joins, and the log decides: a model for Spin. README.md in this folder says what is asked of it and what it leaves out.
 *
 * Two approvers A and B, a joiner J, a second request beside J's, and a relay. Words are those of ../protocol.md; "page:" cites it.
 *
 * There are no channels. What was signed once exists for ever, and the relay delivers it to whom it likes, as often as it likes, in any
 * order, or never. So loss, repetition, reordering and replay need no steps of their own. Each step is one transaction of one party.
 *
 *   -DFAITHFUL      the relay keeps its word: it delays and repeats, and does nothing else
 *   -DENDS          a lying relay may stop lying for good, and then everything must end
 *   -DSTOLEN        B's key is in foreign hands: it signs whatever the rules of the log let pass
 *   -DONLY=name     asks for one property, else for all
 *   -DOF_A, -DOF_B  how many entries there is room for
 *   -DNO_GUARD_...  takes one rule out; check.sh runs each, and each must break its property
 */

/* Properties. */
#define ENTITLED 1 /* who is a member: an entry counts only if its signer was an approver where it stands */
#define FINAL    2 /* a request has at most one final decision */
#define FORK     3 /* whatever log a device was ever shown is part of the one it has pinned, or it has raised the alarm */
#define ONCE     4 /* no device key is admitted twice */
#define TYPED    5 /* an honest approver admits the device whose code its person read on that device */
#define QUIET    6 /* while the relay keeps its word nobody is accused, and what it counts as over is not admitted */
#define ENDING   7 /* once faults stop, every operation ends */
#ifndef ONLY
#define HOLDS(property, claim) assert(claim)
#else
#define HOLDS(property, claim) assert((property) != ONLY || (claim))
#endif

#if defined(FAITHFUL)
#define LYING false
#elif defined(ENDS)
bool calm; /* faults have stopped */
#define LYING (!calm)
#else
#define LYING true
#endif

/* ---- The log ---- */

#define A 0
#define B 1
#define J 2
#define NOBODY 9

/* How many entries there is room for. Honest approvers cannot sign more: two requests, one removal, and a new try for each loss. */
#ifndef OF_A
#ifdef FAITHFUL
#define OF_A 4
#else
#define OF_A 3
#endif
#endif
#ifndef OF_B
#ifdef FAITHFUL
#define OF_B 3
#else
#define OF_B 2
#endif
#endif
#define ENTRIES (1 + OF_A + OF_B)
#if ENTRIES > 8
#error "path is a byte"
#endif
#define FOUND 0 /* A founded the chain, and B is an approver */
#define FIRST(by) ((by) == A -> 1 : 1 + OF_A)
#define LAST(by) ((by) == A -> OF_A : OF_A + OF_B)

/* What an entry says; 0 while it is unsigned. */
#define ADMIT(r) (r)
#define DENY(r) (2 + (r))
#define REMOVE 5 /* A removes B */
#define IS_ADMIT(w) ((w) == 1 || (w) == 2)
#define REQUEST(w) ((w) > 2 -> (w) - 2 : (w))

byte what[ENTRIES], prev[ENTRIES];
byte path[ENTRIES];    /* the log up to an entry, as a set of entries: it follows from prev */
short roster[ENTRIES]; /* what follows from the log up to an entry */

#define ADMITTED(r) (1 << ((r) - 1))
#define DENIED(r) (4 << ((r) - 1))
#define BY_B 16 /* it was B that admitted J */
#define OUT 32  /* B is removed */
/* What no log may come to: */
#define TWO_DECISIONS 64
#define KEY_TWICE 128
#define NO_APPROVER 256

#define ON(head, entry) ((path[head] >> (entry)) & 1)
#define DECIDED(head, r) (roster[head] & (ADMITTED(r) | DENIED(r)))

/* Request 1 is J's, and J is honest. Whose key the second request names is chosen at the start. */
#define STRANGERS 0 /* a thief of the sync code; its screen is not before the person who types */
#define OF_MEMBER 1 /* B's: a member asks once more, also after it was removed */
#define OF_JOINER 2 /* J's: the same device asks twice */
byte key2;
#define KEY_ADMITTED(head, r) ((key2 == OF_MEMBER && (r) == 2) || (key2 == OF_JOINER && (roster[head] & ADMITTED(3 - (r)))))
#define KEY_MEMBER(head, r) (KEY_ADMITTED(head, r) && !(key2 == OF_MEMBER && (roster[head] & OUT)))
#define KEY_KNOWN(head, r) (KEY_ADMITTED(head, r) || (key2 == OF_JOINER && DECIDED(head, 3 - (r))))

/* page: the rules of the log. The one function of signer, relay and reader. */
#ifdef NO_GUARD_APPROVER
#define MAY_DECIDE(head, by) true
#else
#define MAY_DECIDE(head, by) ((by) == A || !(roster[head] & OUT)) /* not-a-member, not-an-approver */
#endif
#ifdef NO_GUARD_DECIDED
#define UNDECIDED(head, r) true
#else
#define UNDECIDED(head, r) (!DECIDED(head, r)) /* already-decided */
#endif
#ifdef NO_GUARD_KEY
#define KEY_NEW(head, r) true
#else
#define KEY_NEW(head, r) (!KEY_KNOWN(head, r)) /* key-known */
#endif
#define APPLIES(head, w, by) (MAY_DECIDE(head, by) && ( \
    (w) == REMOVE -> ((by) == A && !(roster[head] & OUT)) : \
    (UNDECIDED(head, REQUEST(w)) && (IS_ADMIT(w) -> KEY_NEW(head, REQUEST(w)) : !KEY_MEMBER(head, REQUEST(w)))))) /* key-is-member */

/* ---- Who holds what ---- */

byte pinned[3]; /* the head that a device has verified and stored */
bool alarm[3];  /* it has seen a fork: its membership changes stop */
byte shown[3];  /* every entry that it was ever shown; nobody acts on it, properties ask for it */
byte staged[2]; /* an own entry under way: kept before it is sent, 0 for none */

byte top;        /* the head of the relay's log */
byte over[3];    /* what the relay says of request 1 and 2 */
#define EXPIRED 1
#define WITHDRAWN 2
#define OPEN(r) (over[r] == 0 || LYING) /* whether members are told so */

#define WAITING 0
#define JOINED 1
#define GONE 2    /* withdrawn or expired */
#ifdef FAITHFUL
#define ACCUSES 3 /* ended, since the relay lies */
#else
#define ACCUSES GONE
#endif
byte joiner;

/* Code rounds of request 1, two of the eight. A nonce is known by its signer and its round: it is signed once, and kept. */
byte nonce[2];  /* the highest round for which an approver signed one; 2 means that it also signed one for round 1 */
byte taken[3];  /* whose nonce stands in round 1 and 2 at the relay */
byte answer[3]; /* whose nonce J answered in round 1 and 2; it shows a code for each */
#define FORGED 3  /* one by no approver: J cannot tell yet */
#define STEERED 4 /* J answered two: who knows its value from the first has searched a second for the code that it wants */

hidden byte e, h, r, w;

/* Signs an entry that follows a head, and releases it. */
inline sign(by, says, head) {
    e = FIRST(by);
    do :: what[e] != 0 -> e++ :: else -> break od;
    what[e] = says;
    prev[e] = head;
    path[e] = path[head] | (1 << e);
    roster[e] = roster[head];
    r = REQUEST(says);
    if
    :: says == REMOVE -> roster[e] = roster[e] | OUT
    :: else ->
        if :: DECIDED(head, r) -> roster[e] = roster[e] | TWO_DECISIONS :: else fi;
        if
        :: IS_ADMIT(says) ->
            if :: KEY_ADMITTED(head, r) -> roster[e] = roster[e] | KEY_TWICE :: else fi;
            if :: by == B && says == ADMIT(1) -> roster[e] = roster[e] | BY_B :: else fi;
            roster[e] = roster[e] | ADMITTED(r)
        :: else -> roster[e] = roster[e] | DENIED(r)
        fi
    fi;
    if :: by == B && (roster[head] & OUT) -> roster[e] = roster[e] | NO_APPROVER :: else fi
}
#define ROOM(by) (what[LAST(by)] == 0)

/* ---- Every device that holds the log ---- */

#define READS(d) (!alarm[d] && ((d) != J || joiner == JOINED))
#ifdef NO_GUARD_NEWS /* a page that brings nothing is read again and again */
#define NEWS(d, head) READS(d)
#else
#define NEWS(d, head) (READS(d) && !ON(pinned[d], head)) /* it has entries that are not pinned here */
#endif
#define AHEAD(d) (!LYING && READS(d) && pinned[d] != top && ON(pinned[d], top)) /* the relay lost its tail */

/* Reads a log that the relay shows, up to a head. */
inline read(d, head) {
    h = head;
    e = pinned[d];
    if
    :: ON(h, e) -> pinned[d] = h
    :: else -> /* page: a fork is a validly signed entry whose prev has another successor in the pinned log */
#ifndef NO_GUARD_ALARM
        alarm[d] = true
#else
        skip
#endif
    fi;
    shown[d] = shown[d] | path[h];
    HOLDS(FORK, alarm[d] || (shown[d] & ~path[pinned[d]]) == 0);
    HOLDS(ENTITLED, !(roster[pinned[d]] & NO_APPROVER));
    HOLDS(FINAL, !(roster[pinned[d]] & TWO_DECISIONS));
    HOLDS(ONCE, !(roster[pinned[d]] & KEY_TWICE));
#ifdef FAITHFUL
    HOLDS(QUIET, !alarm[d]);
    HOLDS(FINAL, !alarm[d]) /* two logs that differ may hold two decisions */
#endif
}

/* page: entries that a relay lost are appended again; `heal` lifts the relay's own restriction, also of a request that was
   withdrawn since. */
inline heal(d) {
    top = pinned[d]
}
#ifdef NO_GUARD_WITHDRAWN_HEALS
#define HEALS(d) (AHEAD(d) && !(over[1] == WITHDRAWN && (roster[pinned[d]] & ADMITTED(1)) && !(roster[top] & ADMITTED(1))))
#else
#define HEALS(d) AHEAD(d)
#endif

/* page: append is by compare-and-swap, and an admitted request is open here, else request-closed. */
#ifdef NO_GUARD_SWAP
#define NEXT(entry) (!ON(top, entry))
#else
#define NEXT(entry) (prev[entry] == top) /* head-moved */
#endif
#ifdef NO_GUARD_OPEN
#define TAKES(entry) NEXT(entry)
#else
#define TAKES(entry) (NEXT(entry) && (!IS_ADMIT(what[entry]) || over[REQUEST(what[entry])] == 0))
#endif

/* ---- Approvers ---- */

#if defined(ENDS) && !defined(FAITHFUL)
#define ACTS LYING /* what begins later begins under a relay that keeps its word: FAITHFUL asks for that */
#else
#define ACTS true
#endif
#define DECIDES(x, w) (ACTS && staged[x] == 0 && !alarm[x] && ROOM(x) && APPLIES(pinned[x], w, x))
#define TYPES(x) (nonce[x] != 0 && answer[nonce[x]] == x) /* both screens have the code of this approver's round */

inline decide(x, says) {
    HOLDS(TYPED, !IS_ADMIT(says) || (says == ADMIT(1) -> TYPES(x) : key2 != STRANGERS));
    sign(x, says, pinned[x]);
    staged[x] = e
}

/* What becomes of an own entry when the log has grown. */
inline settle(x) {
    h = staged[x];
    if
    :: h == 0 || alarm[x] || pinned[x] == prev[h] -> skip
    :: else -> /* landed, or another holds its place: destroyed */
        staged[x] = 0;
        w = what[h];
        if /* page: signed again by itself, if nothing that matters has changed */
        :: !ON(pinned[x], h) && w != REMOVE && ROOM(x) && APPLIES(pinned[x], w, x) && OPEN(REQUEST(w)) &&
            (roster[pinned[x]] & OUT) == (roster[prev[h]] & OUT) ->
            sign(x, w, pinned[x]);
            staged[x] = e
        :: else
        fi
    fi
}

proctype approver(byte x) {
end: do
    /* A person opens the prompt: one nonce a round, stored before it leaves. */
    :: d_step { nonce[x] == 0 && DECIDES(x, ADMIT(1)) && OPEN(1) -> nonce[x] = 1 }
    /* The person types the code that J shows for this round. */
    :: d_step { TYPES(x) && DECIDES(x, ADMIT(1)) && OPEN(1) -> decide(x, ADMIT(1)) }
    /* The second request is opened, answered and typed in one step; the person has that device at hand, or reads J's code. */
    :: d_step { key2 != STRANGERS && DECIDES(x, ADMIT(2)) && OPEN(2) -> decide(x, ADMIT(2)) }
#ifdef NO_GUARD_ONE_NONCE
    :: d_step { answer[1] == STEERED && DECIDES(x, ADMIT(2)) -> decide(x, ADMIT(2)) }
#endif
#ifdef NO_GUARD_COMMITMENT /* the thief chooses its value after it has seen the nonce, and what J revealed */
    :: d_step { answer[1] != NOBODY && DECIDES(x, ADMIT(2)) -> decide(x, ADMIT(2)) }
#endif
#ifdef NO_GUARD_CODE /* a button instead of a code */
    :: d_step { DECIDES(x, ADMIT(2)) -> decide(x, ADMIT(2)) }
#endif
#ifdef NO_GUARD_SHOWN /* the request is fetched again between prompt and signature */
    :: d_step { TYPES(x) && DECIDES(x, ADMIT(2)) -> decide(x, ADMIT(2)) }
#endif
    :: d_step { DECIDES(x, DENY(1)) && OPEN(1) -> decide(x, DENY(1)) }
    :: d_step { DECIDES(x, DENY(2)) && OPEN(2) -> decide(x, DENY(2)) }
    :: d_step { x == A && DECIDES(x, REMOVE) -> decide(x, REMOVE) }
    :: d_step { !LYING && NEWS(x, top) -> read(x, top); settle(x) }
#ifndef NO_GUARD_HEAL
    :: d_step { HEALS(x) -> heal(x) }
#endif
#ifndef NO_GUARD_GIVE_UP /* page: an entry that the relay refuses by any other code is destroyed as well */
    :: d_step { !LYING && staged[x] != 0 && !alarm[x] && pinned[x] == top && !TAKES(staged[x]) -> staged[x] = 0 }
#endif
#ifdef NO_GUARD_PIN /* a restart forgets the pinned head */
    :: d_step { pinned[x] != FOUND -> pinned[x] = FOUND; staged[x] = 0 }
#endif
    od
}

#ifdef STOLEN
/* Whoever holds B's key signs at any head what the rules let pass; all else is refused everywhere. */
proctype thief_of_b() {
    byte says, head;
end: do
    :: atomic {
        ACTS && ROOM(B) -> select(says : 1 .. 4); select(head : 0 .. ENTRIES - 1);
        d_step {
            if :: (head == FOUND || what[head] != 0) && APPLIES(head, says, B) -> sign(B, says, head) :: else fi;
            says = 0;
            head = 0
        }
    }
    od
}
#endif

/* ---- The joiner ---- */

/* page: a joiner answers one nonce a round, ever, in order; any other ends the join, since its relay lies. */
inline take(whose, round) {
    if
    :: answer[round] == whose -> skip
    :: answer[round] == NOBODY && (round == 1 || answer[1] != NOBODY) -> answer[round] = whose
#ifdef NO_GUARD_ONE_NONCE
    :: answer[round] != NOBODY && answer[round] != whose -> answer[round] = STEERED
#endif
    :: else -> joiner = ACCUSES
    fi;
#ifdef FAITHFUL
    HOLDS(QUIET, joiner != ACCUSES)
#endif
}

#define SHOWED(who) (answer[1] == (who) || answer[2] == (who))

/* page: what a joiner requires, of which here: the signer is the signer of a nonce whose code it showed. */
inline accept(head) {
    e = (roster[head] & BY_B -> B : A);
    if
#ifdef NO_GUARD_SIGNER
    :: true ->
#else
    :: SHOWED(e) ->
#endif
        HOLDS(TYPED, SHOWED(e));
        joiner = JOINED;
        pinned[J] = head;
        shown[J] = path[head]
#ifndef NO_GUARD_SIGNER
    :: else -> joiner = ACCUSES
#endif
    fi;
#ifdef FAITHFUL
    HOLDS(QUIET, joiner != ACCUSES)
#endif
}

proctype phone() {
end: do
    :: d_step { !LYING && joiner == WAITING && (roster[top] & ADMITTED(1)) -> accept(top) }
    :: d_step { !LYING && joiner == WAITING && over[1] != 0 && !(roster[top] & ADMITTED(1)) -> joiner = GONE }
    :: d_step { joiner == WAITING && over[1] == 0 -> joiner = GONE } /* withdraws */
    :: d_step { !LYING && NEWS(J, top) -> read(J, top) }
#ifndef NO_GUARD_HEAL
    :: d_step { HEALS(J) -> heal(J) }
#endif
    od
}

/* ---- The relay ---- */

/* page: the relay takes a nonce for an open request, in the next free round. */
#define POST_NONCE(x) \
    :: d_step { !LYING && nonce[x] != 0 && taken[nonce[x]] == NOBODY && (nonce[x] == 1 || taken[1] != NOBODY) -> \
        taken[nonce[x]] = x } \
    /* page: on round-taken the approver signs another for the next, if that one is another approver's */ \
    :: d_step { !LYING && nonce[x] == 1 && taken[1] == 1 - (x) && DECIDES(x, ADMIT(1)) -> nonce[x] = 2 }
#define SEND_NONCE(round) \
    :: d_step { !LYING && joiner == WAITING && taken[round] != NOBODY && answer[round] != taken[round] && \
        (round == 1 || answer[1] != NOBODY) -> \
        take(taken[round], round) }
/* page: append */
#define APPEND(x) \
    :: d_step { !LYING && staged[x] != 0 && !alarm[x] && TAKES(staged[x]) -> \
        top = staged[x]; \
        CLOSED }

#ifdef FAITHFUL
#define CLOSED HOLDS(QUIET, !(over[1] && (roster[top] & ADMITTED(1))) && !(over[2] && (roster[top] & ADMITTED(2))))
#else
#define CLOSED skip
#endif

#define PENDING(d) (staged[d] != 0 && !alarm[d])
#define LEVEL(d) (!READS(d) || pinned[d] == top)
#ifdef STOLEN
#define LEVEL_B true
#else
#define LEVEL_B LEVEL(B)
#endif
#define ENDED(r) (over[r] != 0 || DECIDED(top, r))

proctype relay() {
end: do
    POST_NONCE(A)
    POST_NONCE(B)
    SEND_NONCE(1)
    SEND_NONCE(2)
    APPEND(A)
#ifndef STOLEN
    APPEND(B)
#endif
#ifdef NO_GUARD_ROUND /* a nonce takes the place of another's */
    :: d_step { nonce[B] == 1 && taken[1] == A -> taken[1] = B }
#endif
#ifndef NO_GUARD_LIFETIME
    :: d_step { !LYING && over[1] == 0 && !(roster[top] & ADMITTED(1)) -> over[1] = EXPIRED }
    :: d_step { !LYING && over[2] == 0 && !(roster[top] & ADMITTED(2)) -> over[2] = EXPIRED }
#endif
    :: d_step { !LYING && joiner == GONE && over[1] == 0 && !(roster[top] & ADMITTED(1)) -> over[1] = WITHDRAWN }
#if defined(FAITHFUL) || defined(ENDS)
    :: timeout -> /* nobody can take a step any more: is anything left undone? */
        HOLDS(ENDING, joiner != WAITING && ENDED(1) && ENDED(2) && !PENDING(A) && !PENDING(B));
        HOLDS(ENDING, LEVEL(A) && LEVEL_B && LEVEL(J));
        break
#endif
    od
}

#ifndef FAITHFUL
/* A lying relay shows anybody any log that signed entries make, and decides anew each time which. It hands J any nonce that was ever
 * signed, or one of its own; it shows an approver that its round is taken, if it can. That it withholds needs no step. What it will
 * have for its log in the end, it says when it stops lying. */
#define IS(entry) ((entry) == FOUND || what[entry] != 0)
#ifdef STOLEN
#define TO_B(entry)
#define SECOND(x)
#define HAND_OF_B(round) :: d_step { joiner == WAITING && answer[round] != B -> take(B, round) }
#else
#define TO_B(entry) :: d_step { IS(entry) && NEWS(B, entry) -> read(B, entry); settle(B) }
#define SECOND(x) :: d_step { nonce[x] == 1 && nonce[1 - (x)] != 0 && DECIDES(x, ADMIT(1)) -> nonce[x] = 2 }
#define HAND_OF_B(round) HAND(B, round)
#endif
#ifdef ENDS
#define STOP(entry) :: d_step { IS(entry) -> top = entry; calm = true; forget() }; break
#else
#define STOP(entry)
#endif
#define SHOW(entry) \
    :: d_step { IS(entry) && NEWS(A, entry) -> read(A, entry); settle(A) } \
    TO_B(entry) \
    :: d_step { IS(entry) && NEWS(J, entry) -> read(J, entry) } \
    :: d_step { joiner == WAITING && (roster[entry] & ADMITTED(1)) -> accept(entry) } \
    STOP(entry)
#define HAND(whose, round) :: d_step { joiner == WAITING && nonce[whose] >= round && answer[round] != (whose) -> take(whose, round) }
#define FORGE(round) :: d_step { joiner == WAITING && answer[round] != FORGED -> take(FORGED, round) }

#ifdef ENDS
#define USED(entry) (ON(top, entry) || ON(pinned[A], entry) || ON(pinned[B], entry) || ON(pinned[J], entry) || \
    staged[A] == (entry) || staged[B] == (entry))
/* What nobody will ask for any more is cleared, so that states that end alike are one state. */
inline forget() {
    for (e : 0 .. 2) {
        if :: alarm[e] -> pinned[e] = FOUND; shown[e] = 1 :: else -> skip fi
    }
    if :: alarm[A] -> staged[A] = 0 :: else -> skip fi;
    if :: alarm[B] -> staged[B] = 0 :: else -> skip fi;
    if :: staged[A] == 0 && staged[B] == 0 -> key2 = STRANGERS :: else -> skip fi;
    nonce[A] = 0;
    nonce[B] = 0;
    if
    :: joiner == WAITING -> h = (SHOWED(A) -> A : NOBODY); answer[2] = (SHOWED(B) -> B : NOBODY); answer[1] = h
    :: else -> answer[1] = NOBODY; answer[2] = NOBODY
    fi;
    e = 1;
    do
    :: e < ENTRIES && !USED(e) -> what[e] = 0; prev[e] = 0; path[e] = 0; roster[e] = 0; e++
    :: e < ENTRIES && USED(e) -> e++
    :: else -> break
    od;
    e = 0
}
#endif

/* While it lies, time passes: a cycle counts against ENDING only without it. */
proctype liar() {
end: progress_lies: do
    SHOW(0)
    SHOW(1)
    SHOW(2)
    SHOW(3)
#if ENTRIES > 4
    SHOW(4)
#endif
#if ENTRIES > 5
    SHOW(5)
#endif
#if ENTRIES > 6
    SHOW(6)
#endif
    HAND(A, 1)
    HAND(A, 2)
    HAND_OF_B(1)
    HAND_OF_B(2)
    FORGE(1)
    FORGE(2)
    SECOND(A)
    SECOND(B)
    od
}
#endif

init {
    atomic {
        path[FOUND] = 1;
        shown[A] = 1;
        shown[B] = 1;
        shown[J] = 1;
        taken[1] = NOBODY;
        taken[2] = NOBODY;
        answer[1] = NOBODY;
        answer[2] = NOBODY;
        select(key2 : STRANGERS .. OF_JOINER);
        run approver(A);
#ifdef STOLEN
        run thief_of_b();
#else
        run approver(B);
#endif
        run phone();
        run relay();
#ifndef FAITHFUL
        run liar()
#endif
    }
}
