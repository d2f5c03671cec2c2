-------------------------------- MODULE Lease --------------------------------
(***************************************************************************)
(* Pre-vote, promises, check-quorum, leases and the handing over of        *)
(* leadership, with time (src/quorate/raft: election, leader, handover).   *)
(*                                                                         *)
(* Who heard from a leader within Timeout by its own clock helps nobody    *)
(* else to be elected.  A leader trusts its lease for LeaseTime by its own *)
(* clock, counted from when it *sent* what a majority answered.  After     *)
(* TimeoutNow, which makes its receiver campaign past those promises, it   *)
(* does not trust it again in that term.                                   *)
(*                                                                         *)
(* Time passes in ticks that are the same for all; in each, the clock of   *)
(* server s moves on by Rate[s] units, so clocks differ in speed.  What is *)
(* kept is how long ago things were by the clock that measures them, and   *)
(* only up to where it matters no more: that keeps the model finite.       *)
(* The lease holds while no clock is faster than another by more than      *)
(* Timeout / LeaseTime: here 5 / 4 as in the settings of the code.         *)
(*                                                                         *)
(* `Strangers` were removed from the membership and do not know it: they   *)
(* hear nothing, and go on as if all servers were voters.  Logs are left   *)
(* out, but for one thing: a stranger's log is not ahead of anybody's.     *)
(***************************************************************************)
EXTENDS Naturals, FiniteSets, TLC

CONSTANTS Server, Strangers, Nobody, MaxTerm, Timeout, LeaseTime, Speeds, Broken

VARIABLES
    rate,       \* server -> units its clock moves on in a tick; never changes
    term,
    vote,       \* server -> whom it voted for in its term
    role,       \* "follower", "asking" (pre-vote), "candidate" or "leader"
    leader,     \* server -> whom it follows
    heard,      \* server -> own time since a leader was heard, up to Timeout
    granted,    \* server -> who granted it the vote or pre-vote it asks for
    pushed,     \* server -> its campaign was begun by TimeoutNow
    beat,       \* leader -> server -> [stage, age] of the heartbeat under way
    promised,   \* leader -> server -> own time since it sent what was answered
    handed,     \* leader -> TimeoutNow has left in this term
    nudges      \* set of [term, from, to]: TimeoutNow on its way, for ever

vars == <<rate, term, vote, role, leader, heard, granted, pushed, beat, promised,
          handed, nudges>>

Rule(name) == name \notin Broken
Min(a, b) == IF a < b THEN a ELSE b

Members == Server \ Strangers
\* What s takes for the voters.
VotersOf(s) == IF s \in Strangers THEN Server ELSE Members
Majority(part, whole) == 2 * Cardinality(part \cap whole) > Cardinality(whole)

Idle == [stage |-> "none", age |-> 0]
NoBeats == [s \in Server |-> Idle]
NoPromises == [s \in Server |-> LeaseTime]

-----------------------------------------------------------------------------
(* Time, crashes.                                                          *)

Tick ==
    /\ heard' = [s \in Server |-> Min(Timeout, heard[s] + rate[s])]
    /\ promised' = [l \in Server |-> [s \in Server |->
                        Min(LeaseTime, promised[l][s] + rate[l])]]
    /\ beat' = [l \in Server |-> [s \in Server |->
                    IF beat[l][s].stage = "none" THEN Idle
                    ELSE [beat[l][s] EXCEPT !.age = Min(LeaseTime, @ + rate[l])]]]
    /\ UNCHANGED <<rate, term, vote, role, leader, granted, pushed, handed, nudges>>

\* A step of s that changes its role: what it had begun is over.
Turn(s, t, v, r, l) ==
    /\ term' = [term EXCEPT ![s] = t]
    /\ vote' = [vote EXCEPT ![s] = v]
    /\ role' = [role EXCEPT ![s] = r]
    /\ leader' = [leader EXCEPT ![s] = l]
    /\ beat' = [beat EXCEPT ![s] = NoBeats]
    /\ promised' = [promised EXCEPT ![s] = NoPromises]
    /\ handed' = [handed EXCEPT ![s] = FALSE]
    /\ UNCHANGED <<rate, nudges>>

\* Starting counts as having heard a leader: the vote or the promise given
\* before the crash may be one that a lease relies on.
Restart(s) ==
    /\ Turn(s, term[s], vote[s], "follower", Nobody)
    /\ heard' = [heard EXCEPT ![s] = IF Rule("restart is contact") THEN 0 ELSE Timeout]
    /\ granted' = [granted EXCEPT ![s] = {}]
    /\ pushed' = [pushed EXCEPT ![s] = FALSE]

\* For want of a majority's answers (check-quorum), or a disk that stands still.
StepDown(s) ==
    /\ role[s] = "leader"
    /\ Turn(s, term[s], vote[s], "follower", Nobody)
    /\ UNCHANGED <<heard, granted, pushed>>

-----------------------------------------------------------------------------
(* Elections.                                                              *)

\* Whether v must not help c because it may still have a leader.
Bound(v, c) ==
    \/ role[v] = "leader"
    \/ /\ heard[v] < Timeout
       /\ leader[v] # c
Outsider(v, c) == c \notin VotersOf(v) /\ Rule("strangers are not heard")

\* The first word of a campaign: would you vote for me?
Ask(s) ==
    /\ role[s] # "leader"
    /\ heard[s] = Timeout
    /\ term[s] < MaxTerm
    /\ Turn(s, term[s], vote[s], "asking", Nobody)
    /\ granted' = [granted EXCEPT ![s] = {s}]
    /\ pushed' = [pushed EXCEPT ![s] = FALSE]
    /\ UNCHANGED heard

\* v answers that it would, and changes nothing.
PreVote(v, c) ==
    /\ role[c] = "asking" /\ v # c
    /\ term[c] + 1 >= term[v]
    /\ ~Bound(v, c) /\ ~Outsider(v, c)
    /\ granted' = [granted EXCEPT ![c] = @ \cup {v}]
    /\ UNCHANGED <<rate, term, vote, role, leader, heard, pushed, beat, promised, handed, nudges>>

Campaign(s, push) ==
    /\ term[s] < MaxTerm
    /\ Turn(s, term[s] + 1, s, "candidate", Nobody)
    /\ granted' = [granted EXCEPT ![s] = {s}]
    /\ pushed' = [pushed EXCEPT ![s] = push]
    /\ UNCHANGED heard

Begin(s) ==
    /\ \/ role[s] = "asking" /\ Majority(granted[s], VotersOf(s))
       \/ ~Rule("pre-vote") /\ role[s] # "leader" /\ heard[s] = Timeout
    /\ Campaign(s, FALSE)

\* A vote; refused, whatever the term, by who may still have a leader, unless
\* that leader wanted it.
Vote(v, c) ==
    /\ role[c] = "candidate" /\ v # c
    /\ term[c] >= term[v]
    /\ ~Bound(v, c) \/ pushed[c] \/ ~Rule("promises bind")
    /\ ~Outsider(v, c)
    /\ term[c] = term[v] => vote[v] = Nobody
    /\ term' = [term EXCEPT ![v] = term[c]]
    /\ vote' = [vote EXCEPT ![v] = c]
    /\ role' = [role EXCEPT ![v] = "follower"]
    /\ leader' = [leader EXCEPT ![v] = Nobody]
    /\ beat' = [beat EXCEPT ![v] = NoBeats]
    /\ promised' = [promised EXCEPT ![v] = NoPromises]
    /\ handed' = [handed EXCEPT ![v] = FALSE]
    /\ granted' = [granted EXCEPT ![c] = @ \cup {v}, ![v] = {}]
    /\ pushed' = [pushed EXCEPT ![v] = FALSE]
    /\ UNCHANGED <<rate, heard, nudges>>

Lead(s) ==
    /\ role[s] = "candidate"
    /\ Majority(granted[s], VotersOf(s))
    /\ Turn(s, term[s], vote[s], "leader", s)
    /\ granted' = [granted EXCEPT ![s] = {}]
    /\ pushed' = [pushed EXCEPT ![s] = FALSE]
    /\ UNCHANGED heard

-----------------------------------------------------------------------------
(* Heartbeats, handing over.                                               *)

\* One is under way at a time; a new one takes the place of one that is lost.
SendBeat(l, f) ==
    /\ role[l] = "leader" /\ f \in Members \ {l}
    /\ beat[l][f].age > 0 \/ beat[l][f].stage = "none"
    /\ beat' = [beat EXCEPT ![l][f] = [stage |-> "sent", age |-> 0]]
    /\ UNCHANGED <<rate, term, vote, role, leader, heard, granted, pushed, promised, handed, nudges>>

ReceiveBeat(l, f) ==
    /\ beat[l][f].stage = "sent"
    /\ term[l] >= term[f]
    /\ term' = [term EXCEPT ![f] = term[l]]
    /\ vote' = [vote EXCEPT ![f] = IF term[l] > term[f] THEN Nobody ELSE @]
    /\ role' = [role EXCEPT ![f] = "follower"]
    /\ leader' = [leader EXCEPT ![f] = l]
    /\ heard' = [heard EXCEPT ![f] = 0]
    /\ granted' = [granted EXCEPT ![f] = {}]
    /\ pushed' = [pushed EXCEPT ![f] = FALSE]
    /\ beat' = [beat EXCEPT ![l][f].stage = "answered", ![f] = NoBeats]
    /\ promised' = [promised EXCEPT ![f] = NoPromises]
    /\ handed' = [handed EXCEPT ![f] = FALSE]
    /\ UNCHANGED <<rate, nudges>>

ReceiveAnswer(l, f) ==
    /\ beat[l][f].stage = "answered"
    /\ promised' = [promised EXCEPT ![l][f] =
                       Min(@, IF Rule("since it was sent") THEN beat[l][f].age ELSE 0)]
    /\ beat' = [beat EXCEPT ![l][f] = Idle]
    /\ UNCHANGED <<rate, term, vote, role, leader, heard, granted, pushed, handed, nudges>>

\* Somebody answered in a higher term: a leader steps down, others take it over.
HearTerm(s, r) ==
    /\ term[r] > term[s] /\ r \in Members
    /\ Turn(s, term[r], Nobody, "follower", Nobody)
    /\ granted' = [granted EXCEPT ![s] = {}]
    /\ pushed' = [pushed EXCEPT ![s] = FALSE]
    /\ UNCHANGED heard

HandOver(l, f) ==
    /\ role[l] = "leader" /\ f \in Members \ {l}
    /\ nudges' = nudges \cup {[term |-> term[l], from |-> l, to |-> f]}
    /\ handed' = [handed EXCEPT ![l] = TRUE]
    /\ UNCHANGED <<rate, term, vote, role, leader, heard, granted, pushed, beat, promised>>

\* Only the leader of the present term may ask for it: a late one would break
\* the lease of a newer leader.
Obey(n) ==
    LET s == n.to
    IN  /\ role[s] # "leader"
        /\ Rule("TimeoutNow of this term") => n.term = term[s] /\ leader[s] = n.from
        /\ Campaign(s, TRUE)

-----------------------------------------------------------------------------
Init ==
    /\ rate \in [Server -> Speeds]
    /\ term = [s \in Server |-> 0]
    /\ vote = [s \in Server |-> Nobody]
    /\ role = [s \in Server |-> "follower"]
    /\ leader = [s \in Server |-> Nobody]
    /\ heard = [s \in Server |-> Timeout]
    /\ granted = [s \in Server |-> {}]
    /\ pushed = [s \in Server |-> FALSE]
    /\ beat = [s \in Server |-> NoBeats]
    /\ promised = [s \in Server |-> NoPromises]
    /\ handed = [s \in Server |-> FALSE]
    /\ nudges = {}

Shared ==
    \/ Tick
    \/ \E s \in Server : Restart(s) \/ StepDown(s) \/ Begin(s) \/ Lead(s)
    \/ \E s, r \in Server :
        Vote(s, r) \/ SendBeat(s, r) \/ ReceiveBeat(s, r) \/ ReceiveAnswer(s, r) \/ HearTerm(s, r)

Asking == \E s, r \in Server : Ask(s) \/ PreVote(s, r)

HandingOver ==
    \/ \E s, r \in Server : HandOver(s, r)
    \/ \E n \in nudges : Obey(n)

Next == Shared \/ Asking \/ HandingOver

\* A pre-vote only forbids campaigns.  That the lease holds without it as well
\* is more than that it holds, and a smaller model: "pre-vote" is Broken there.
WithoutPreVote == Shared \/ HandingOver

WithoutHandingOver == Shared \/ Asking

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------
(* What must hold.                                                         *)

ElectionSafety ==
    \A s, r \in Server :
        role[s] = "leader" /\ role[r] = "leader" /\ term[s] = term[r] => s = r

\* l answers reads without asking anybody.  (In the code also: once an entry of
\* its term is applied.)
Trusts(l) ==
    /\ role[l] = "leader"
    /\ ~handed[l] \/ ~Rule("handing over ends the lease")
    /\ Majority({l} \cup {f \in Members : promised[l][f] < LeaseTime}, Members)

\* While it does, nobody else can have committed anything: nobody leads later.
LeaseReadsNeverStale ==
    \A l, r \in Server : Trusts(l) /\ role[r] = "leader" => term[r] <= term[l]

\* Whatever a stranger does, no term of a member comes from it, and it never
\* even begins a campaign that others would have to refuse.
RemovedServersCannotDisturb ==
    \A r \in Strangers :
        /\ role[r] \notin {"candidate", "leader"}
        /\ \A m \in Members : vote[m] # r

-----------------------------------------------------------------------------
Symmetry == Permutations(Members) \cup Permutations(Strangers)
=============================================================================
