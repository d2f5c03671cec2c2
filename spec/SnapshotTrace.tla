---------------------------- MODULE SnapshotTrace ----------------------------
(***************************************************************************)
(* Servers of simulated clusters, checked step by step against             *)
(* SnapshotConfiguration.                                                  *)
(*                                                                         *)
(* spec_snapshots.py (tests) watches the real code in the simulator and   *)
(* writes down which action each step should be, what a leader sent, and   *)
(* what log, snapshot and configurations are there after it.  A step that  *)
(* is no such action, or that ends elsewhere, leaves no next state: TLC    *)
(* reports a deadlock, and the last state shows by `trace` and `at` which  *)
(* step it was.                                                            *)
(***************************************************************************)
EXTENDS SnapshotConfiguration, TLC

\* Sequence of [good, founder, steps], one for each server of each life.  Not a
\* constant of the .cfg file, which TLC would work out anew at each use.
CONSTANT Servers

VARIABLES trace, at

Steps == Servers[trace].steps

\* In the trace an entry is <<term, conf>>, a configuration <<conf, index>>.
ItemsOf(l) == [i \in 1..Len(l) |-> [term |-> l[i][1], conf |-> l[i][2]]]
PointOf(p) == [index |-> p[1], term |-> p[2], conf |-> p[3], confIndex |-> p[4]]
ConfigurationOf(c) == [conf |-> c[1], index |-> c[2]]

\* A step: what it is, its arguments, and what is there after it.
What(e) == e[1]
Index(e) == e[2]
Sure(e) == e[3]
Prev(e) == e[4]
PrevTerm(e) == e[5]
Sent(e) == ItemsOf(e[6])
Waits(e) == e[7]
Said(e) == PointOf(e[8])
\* <<>> between two actions that are one step of the code.
Seen(e) == e[9]

Action(e) ==
    CASE What(e) = "take" -> Take(Prev(e), PrevTerm(e), Sent(e), Sure(e), Waits(e))
      [] What(e) = "commit" -> LearnCommit(Index(e))
      [] What(e) = "apply" -> Apply(Index(e))
      [] What(e) = "begin" -> BeginSnapshot /\ Point = Said(e)
      [] What(e) = "store" ->
            LET same == {k \in DOMAIN taking : taking[k] = Said(e)}
            IN  same # {} /\ StoreSnapshot(Lowest(same))
      [] What(e) = "compact" -> Compact(Index(e))
      [] What(e) = "arrive" -> Arrive(Index(e))
      [] What(e) = "install" -> Install(Index(e))
      [] What(e) = "ignore" -> Ignore(Index(e))
      [] What(e) = "sync" -> Sync
      [] What(e) = "restart" -> Restart
      [] OTHER -> FALSE

\* Entries before `keep` are what they were, those after it are `tail`.
LogIs(first, last, keep, tail) ==
    entries' = Joined(Upto(After(entries, first - 1), keep), Log(Max(keep + 1, first), ItemsOf(tail)))

Agrees(a) ==
    /\ LogIs(a[1], a[2], a[3], a[4])
    /\ base' = [index |-> a[5][1], term |-> a[5][2]]
    /\ commit' = a[6]
    /\ applied' = a[7]
    /\ inForce' = ConfigurationOf(a[8])
    /\ agreed' = ConfigurationOf(a[9])
    /\ snapshot' = PointOf(a[10])
    /\ IF a[11] = <<>> THEN TRUE ELSE disk = Log(a[11][1], ItemsOf(a[11][2]))

TraceInit ==
    /\ trace \in 1..Len(Servers)
    /\ at = 1
    /\ good = ItemsOf(Servers[trace].good)
    /\ Begin(IF Servers[trace].founder THEN SubSeq(good, 1, 1) ELSE <<>>)

TraceNext ==
    \/ /\ at <= Len(Steps)
       /\ Action(Steps[at])
       /\ IF Seen(Steps[at]) = <<>> THEN TRUE ELSE Agrees(Seen(Steps[at]))
       /\ at' = at + 1
       /\ UNCHANGED trace
    \/ /\ at > Len(Steps)
       /\ UNCHANGED <<vars, trace, at>>

\* For traces that are to be refused, many in one run: tells how far each came.
Told == PrintT(<<"came to", trace, at>>)
=============================================================================
