------------------------------ MODULE VoteById ------------------------------
(***************************************************************************)
(* To whom a vote is given: to a server, by its id, not to an address.     *)
(* Servers may be restarted at each other's addresses within a term, and a *)
(* voter that remembered the address would vote for both.                  *)
(* (src/quorate/raft/election.py; ids of other makes' old servers, which   *)
(* send none, are left out.)                                               *)
(***************************************************************************)
EXTENDS Naturals, FiniteSets, TLC

CONSTANTS Server, Nobody, MaxTerm, Broken

VARIABLES
    address,    \* server -> the address at which it is now; an element of Server
    term,
    vote,       \* server -> what it remembers of the vote of its term
    asks,       \* server -> it asks for votes in its term
    granted,    \* set of <<term, voter, candidate>>
    led         \* set of <<term, server>>: all elections won

vars == <<address, term, vote, asks, granted, led>>

Rule(name) == name \notin Broken
Majority(part) == 2 * Cardinality(part) > Cardinality(Server)

\* What a vote is remembered by.
Name(s) == IF Rule("by id") THEN s ELSE address[s]

\* Two servers stop and start at each other's addresses; neither forgets a vote.
Swap(s, r) ==
    /\ s # r
    /\ address' = [address EXCEPT ![s] = address[r], ![r] = address[s]]
    /\ asks' = [asks EXCEPT ![s] = FALSE, ![r] = FALSE]
    /\ UNCHANGED <<term, vote, granted, led>>

Campaign(s) ==
    /\ term[s] < MaxTerm
    /\ term' = [term EXCEPT ![s] = @ + 1]
    /\ vote' = [vote EXCEPT ![s] = Name(s)]
    /\ asks' = [asks EXCEPT ![s] = TRUE]
    /\ granted' = granted \cup {<<term[s] + 1, s, s>>}
    /\ UNCHANGED <<address, led>>

\* Asked again, a voter answers as before: its first answer may have been lost.
Vote(v, c) ==
    /\ v # c /\ asks[c] /\ term[c] >= term[v]
    /\ term[c] = term[v] => vote[v] \in {Nobody, Name(c)}
    /\ term' = [term EXCEPT ![v] = term[c]]
    /\ vote' = [vote EXCEPT ![v] = Name(c)]
    /\ asks' = [asks EXCEPT ![v] = FALSE]
    /\ granted' = granted \cup {<<term[c], v, c>>}
    /\ UNCHANGED <<address, led>>

Lead(s) ==
    /\ asks[s]
    /\ Majority({v \in Server : <<term[s], v, s>> \in granted})
    /\ asks' = [asks EXCEPT ![s] = FALSE]
    /\ led' = led \cup {<<term[s], s>>}
    /\ UNCHANGED <<address, term, vote, granted>>

Init ==
    /\ address = [s \in Server |-> s]
    /\ term = [s \in Server |-> 0]
    /\ vote = [s \in Server |-> Nobody]
    /\ asks = [s \in Server |-> FALSE]
    /\ granted = {}
    /\ led = {}

Next ==
    \E s \in Server :
        \/ Campaign(s) \/ Lead(s)
        \/ \E r \in Server : Swap(s, r) \/ Vote(s, r)

Spec == Init /\ [][Next]_vars

ElectionSafety == \A one, other \in led : one[1] = other[1] => one = other

OneVoteATerm ==
    \A one, other \in granted :
        one[1] = other[1] /\ one[2] = other[2] => one = other

Symmetry == Permutations(Server)
=============================================================================
