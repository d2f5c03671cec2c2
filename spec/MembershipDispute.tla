-------------------------- MODULE MembershipDispute --------------------------
(***************************************************************************)
(* Membership.tla, begun where it becomes dangerous: of four voters, `a`   *)
(* leads in term 2 (elected by a, c, d) and `b` in term 3 (by b, c, d); no *)
(* entry of either has reached anybody, and `a` does not know of `b`.  All *)
(* know that the first entry is committed, as after a start from a         *)
(* snapshot.  Ten lawful steps of Membership.tla lead there.               *)
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
    /\ commit = [s \in Server |-> 1]
    /\ asked = {[term |-> 2, by |-> a, index |-> 1, last |-> 1],
                [term |-> 3, by |-> b, index |-> 1, last |-> 1]}
    /\ votes = {<<2, a, a>>, <<2, c, a>>, <<2, d, a>>, <<3, b, b>>, <<3, c, b>>, <<3, d, b>>}
    /\ said = [t \in 1..MaxTerm |->
                 IF t = 2 THEN [leaders |-> {a}, log |-> Log(2), commit |-> 1]
                 ELSE IF t = 3 THEN [leaders |-> {b}, log |-> Log(3), commit |-> 1]
                 ELSE [leaders |-> {}, log |-> <<>>, commit |-> 0]]
    /\ acked = [t \in 1..MaxTerm |->
                  [s \in Server |-> IF <<t, s>> \in {<<2, a>>, <<3, b>>} THEN 2 ELSE 0]]

\* Changes are removals, and a leader's whole log arrives or nothing.
Removals ==
    \E s \in Server :
        \/ Campaign(s)
        \/ \E r \in asked : Vote(s, r)
        \/ Lead(s)
        \/ StepDown(s)
        \/ \E r \in InForce(s).voters :
               Change(s, Configuration(InForce(s).voters \ {r}, {}))
        \/ \E t \in Led : Accept(s, t, Len(said[t].log), said[t].commit)
        \/ \E n \in 1..Len(mem[s].log) : Commit(s, n)

\* `c` and `d` have the same part; `a` and `b` have not.
Interchangeable == Permutations({c, d})
=============================================================================
