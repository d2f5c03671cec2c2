------------------------- MODULE MembershipOldTerms -------------------------
(***************************************************************************)
(* Membership.tla, begun in the middle of the story of Raft's Figure 8, in *)
(* the small: of three voters `a` led in term 2, and only it has the entry *)
(* that it wrote; `b` leads in term 3 by the vote of `c`, and only it has  *)
(* its entry.  If `a` is elected again and commits its old entry by        *)
(* counting who stores it, `b` can still be elected, and replaces it.      *)
(***************************************************************************)
EXTENDS Membership

CONSTANTS a, b, c

Log(t) == <<Founded.log[1], Entry(t, NoConfiguration)>>
Divided ==
    (a :> [term |-> 2, vote |-> a, log |-> Log(2)])
    @@ (b :> [term |-> 3, vote |-> b, log |-> Log(3)])
    @@ (c :> [term |-> 3, vote |-> b, log |-> Founded.log])

Begin ==
    /\ mem = Divided
    /\ disk = Divided
    /\ queue = [s \in Server |-> <<>>]
    /\ role = [s \in Server |-> IF s = b THEN "leader" ELSE "follower"]
    /\ commit = [s \in Server |-> 1]
    /\ asked = {[term |-> 2, by |-> a, index |-> 1, last |-> 1],
                [term |-> 3, by |-> b, index |-> 1, last |-> 1]}
    /\ votes = {<<2, a, a>>, <<2, c, a>>, <<3, b, b>>, <<3, c, b>>}
    /\ said = [t \in 1..MaxTerm |->
                 IF t = 2 THEN [leaders |-> {a}, log |-> Log(2), commit |-> 1]
                 ELSE IF t = 3 THEN [leaders |-> {b}, log |-> Log(3), commit |-> 1]
                 ELSE [leaders |-> {}, log |-> <<>>, commit |-> 0]]
    /\ acked = [t \in 1..MaxTerm |->
                  [s \in Server |-> IF <<t, s>> \in {<<2, a>>, <<3, b>>} THEN 2 ELSE 0]]
=============================================================================
