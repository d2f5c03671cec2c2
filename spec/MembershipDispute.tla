-------------------------- MODULE MembershipDispute --------------------------
(***************************************************************************)
(* Membership.tla, begun where it becomes dangerous: of four voters, `a`   *)
(* leads in term 2 (elected by a, c, d) and `b` in term 3 (by b, c, d); no *)
(* entry of either has reached anybody, and `a` does not know of `b`.      *)
(* Membership.tla gets there in ten lawful steps.                          *)
(*                                                                         *)
(* If each may change the membership now, `a` removes one server and `b`   *)
(* another, two majorities have nobody in common, and a committed entry is *)
(* lost: the fault of the one-server change that was found in 2015, and    *)
(* the reason why a leader first commits an entry of its own.              *)
(***************************************************************************)
EXTENDS Membership

CONSTANTS a, b, c, d

Log(t) == <<Founded.log[1], Entry(t, NoConfiguration)>>
Voter == [Founded EXCEPT !.term = 3, !.vote = b]
Disputed ==
    (a :> [term |-> 2, vote |-> a, log |-> Log(2)])
    @@ (b :> [term |-> 3, vote |-> b, log |-> Log(3)])
    @@ (c :> Voter) @@ (d :> Voter)

Begin ==
    /\ mem = Disputed
    /\ disk = Disputed
    /\ queue = [s \in Server |-> <<>>]
    /\ role = [s \in Server |-> IF s \in {a, b} THEN "leader" ELSE "follower"]
    /\ commit = [s \in Server |-> 0]
    /\ asked = {[term |-> 2, by |-> a, index |-> 1, last |-> 1],
                [term |-> 3, by |-> b, index |-> 1, last |-> 1]}
    /\ votes = {<<2, a, a>>, <<2, c, a>>, <<2, d, a>>, <<3, b, b>>, <<3, c, b>>, <<3, d, b>>}
    /\ said = [t \in 1..MaxTerm |->
                 IF t = 2 THEN [leaders |-> {a}, log |-> Log(2), commit |-> 0]
                 ELSE IF t = 3 THEN [leaders |-> {b}, log |-> Log(3), commit |-> 0]
                 ELSE [leaders |-> {}, log |-> <<>>, commit |-> 0]]
    /\ acked = [t \in 1..MaxTerm |->
                  [s \in Server |-> IF <<t, s>> \in {<<2, a>>, <<3, b>>} THEN 2 ELSE 0]]

\* `c` and `d` have the same part; `a` and `b` have not.
Interchangeable == Permutations({c, d})
=============================================================================
