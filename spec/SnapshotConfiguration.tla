------------------------ MODULE SnapshotConfiguration ------------------------
(***************************************************************************)
(* One server's log, snapshot and configuration, and a crash at any moment *)
(* (src/quorate/raft: log, receiver, state; docs/architecture.md).         *)
(*                                                                         *)
(* Two halves are on the disk and are not written at once: the newest      *)
(* snapshot, which carries the configuration at its index, and the log,    *)
(* whose oldest entries are removed once a snapshot contains them.  After  *)
(* a crash the configuration in force must come out of the two again.      *)
(*                                                                         *)
(* The server follows a leader whose log is Good, all of it to be          *)
(* committed.  It may hold the end of another log, Bad, which parts from   *)
(* Good after the index Fork: entries of an older term that never were     *)
(* committed.  A configuration is written as its number; 0 is none.        *)
(***************************************************************************)
EXTENDS Naturals, Sequences, FiniteSets

CONSTANTS
    Good, Bad,  \* sequences of [term, conf]
    Fork,       \* up to here they are the same
    Broken      \* names of rules that this model leaves out

VARIABLES
    entries,    \* index -> entry: what the log holds, in memory and on disk
    snapshot,   \* [index, term, conf, confIndex] on the disk
    arrived,    \* index of a snapshot stored but not yet in force, 0 if none
    base,       \* [index, term]: the snapshot that the log in memory stands on
    commit,
    applied,
    inForce,    \* [conf, index]: the newest configuration
    agreed,     \* the same, of the newest that is known to be committed
    promised    \* highest index that was acknowledged to the leader

vars == <<entries, snapshot, arrived, base, commit, applied, inForce, agreed, promised>>

Rule(name) == name \notin Broken
Max(a, b) == IF a > b THEN a ELSE b
Highest(set) == CHOOSE i \in set : \A j \in set : j <= i

Indexes == DOMAIN entries
LastIndex == IF Indexes = {} THEN base.index ELSE Highest(Indexes)
\* Nothing is known of the term of an entry that is neither here nor named.
TermAt(i) ==
    IF i = 0 THEN 0
    ELSE IF i \in Indexes THEN entries[i].term
    ELSE IF i = base.index THEN base.term ELSE 99

Only(e, set) == [i \in DOMAIN e \cap set |-> e[i]]
Part(l, from, to) == [i \in from..to |-> l[i]]

None == [conf |-> 0, index |-> 0]
\* The newest configuration among the entries e up to n, or else `other`.
Newest(e, n, other) ==
    LET found == {i \in DOMAIN e : i <= n /\ e[i].conf # 0}
    IN  IF found = {} THEN other
        ELSE [conf |-> e[Highest(found)].conf, index |-> Highest(found)]

-----------------------------------------------------------------------------
(* From leaders.                                                           *)

\* Entries from..to of log l replace what contradicts them.  A configuration in
\* what is removed gives place to the one before it, the committed one.
Take(l, from, to) ==
    LET new == {i \in from..to : TermAt(i) # l[i].term /\ i > base.index}
        first == CHOOSE i \in new : \A j \in new : i <= j
        kept == Only(entries, 0..(first - 1))
        back == IF inForce.index >= first THEN agreed ELSE inForce
        added == Newest(Part(l, first, to), to, None)
    IN  /\ new # {}
        /\ entries' = [i \in DOMAIN kept \cup first..to |->
                          IF i \in DOMAIN kept THEN kept[i] ELSE l[i]]
        /\ IF added.index = 0
           THEN /\ inForce' = IF Rule("truncation falls back") THEN back ELSE inForce
                /\ agreed' = agreed
           ELSE /\ inForce' = added
                /\ agreed' = Newest(Part(l, first, to), added.index - 1, back)

\* The logs meet at the entry before; what is in the snapshot need not be asked.
Meets(l, i) == IF i <= base.index THEN TRUE ELSE TermAt(i) = l[i].term

AppendGood(from, to) ==
    /\ from <= LastIndex + 1 /\ from > 0
    /\ Meets(Good, from - 1)
    /\ Take(Good, from, to)
    /\ promised' = Max(promised, to)
    /\ UNCHANGED <<snapshot, arrived, base, commit, applied>>

\* Only before it has heard of the newer leader.
AppendBad(from, to) ==
    /\ promised <= Fork /\ arrived = 0 /\ commit <= Fork /\ base.index <= Fork
    /\ from <= LastIndex + 1 /\ from > 0
    /\ Meets(Bad, from - 1)
    /\ Take(Bad, from, to)
    /\ UNCHANGED <<snapshot, arrived, base, commit, applied, promised>>

\* What is committed is known only for what was compared with the leader's log.
CommitTo(n) ==
    /\ commit' = n
    /\ agreed' = IF inForce.index <= n THEN inForce ELSE agreed

LearnCommit(n) ==
    /\ n > commit /\ n <= LastIndex /\ n <= promised
    /\ CommitTo(n)
    /\ UNCHANGED <<entries, snapshot, arrived, base, applied, inForce, promised>>

Apply ==
    /\ applied < commit
    /\ applied' = applied + 1
    /\ UNCHANGED <<entries, snapshot, arrived, base, commit, inForce, agreed, promised>>

-----------------------------------------------------------------------------
(* Snapshots of its own, and compaction.                                   *)

TakeSnapshot ==
    LET c == agreed
    IN  /\ applied > base.index /\ arrived = 0
        /\ Rule("snapshot not below its configuration") => c.index <= applied
        /\ snapshot' = [index |-> applied, term |-> TermAt(applied),
                        conf |-> IF Rule("snapshot carries it") THEN c.conf ELSE 0,
                        confIndex |-> IF Rule("snapshot carries it") THEN c.index ELSE 0]
        /\ base' = [index |-> applied, term |-> TermAt(applied)]
        /\ UNCHANGED <<entries, arrived, commit, applied, inForce, agreed, promised>>

Compact(n) ==
    /\ n \in Indexes
    /\ n <= IF Rule("compaction below the snapshot") THEN base.index ELSE commit
    /\ entries' = Only(entries, (n + 1)..Len(Good) + Len(Bad))
    /\ UNCHANGED <<snapshot, arrived, base, commit, applied, inForce, agreed, promised>>

-----------------------------------------------------------------------------
(* A snapshot from the leader: first the body is stored, then, in another  *)
(* write, it takes the place of the log.                                   *)

ConfigurationOfGood(n) == Newest(Part(Good, 1, n), n, None)

Arrive(n) ==
    /\ n > snapshot.index /\ arrived = 0
    /\ snapshot' = [index |-> n, term |-> Good[n].term,
                    conf |-> ConfigurationOfGood(n).conf,
                    confIndex |-> ConfigurationOfGood(n).index]
    /\ arrived' = n
    /\ UNCHANGED <<entries, base, commit, applied, inForce, agreed, promised>>

Install ==
    LET n == arrived
    IN  /\ n > 0
        /\ arrived' = 0
        /\ UNCHANGED snapshot
        /\ IF n <= commit
           THEN \* old news
                UNCHANGED <<entries, base, commit, applied, inForce, agreed, promised>>
           ELSE IF TermAt(n) = snapshot.term /\ Rule("keep what follows")
           THEN \* all of it is here as log, and more may have been acknowledged
                /\ CommitTo(n)
                /\ promised' = Max(promised, n)
                /\ UNCHANGED <<entries, base, applied, inForce>>
           ELSE /\ entries' = <<>>
                /\ base' = [index |-> n, term |-> snapshot.term]
                /\ commit' = n /\ applied' = n
                /\ inForce' = [conf |-> snapshot.conf, index |-> snapshot.confIndex]
                /\ agreed' = inForce'
                /\ promised' = Max(promised, n)

-----------------------------------------------------------------------------
\* A crash and a start from what the disk holds.  A log that ends below the
\* snapshot, or contradicts it, counts as empty.
Restart ==
    LET n == snapshot.index
        last == IF Indexes = {} THEN 0 ELSE Highest(Indexes)
        superseded ==
            /\ Indexes # {}
            /\ Rule("superseded logs are dropped")
            /\ last < n \/ (n \in Indexes /\ entries[n].term # snapshot.term)
        log == IF superseded THEN <<>> ELSE entries
        from == [conf |-> snapshot.conf, index |-> snapshot.confIndex]
        above == Only(log, (n + 1)..(n + Len(Good) + Len(Bad)))
        newest == Newest(above, n + Len(Good) + Len(Bad), from)
    IN  /\ entries' = log
        /\ base' = [index |-> n, term |-> snapshot.term]
        /\ commit' = n /\ applied' = n /\ arrived' = 0
        /\ inForce' = newest
        /\ agreed' = Newest(above, Max(newest.index, 1) - 1, from)
        /\ UNCHANGED <<snapshot, promised>>

-----------------------------------------------------------------------------
Init ==
    /\ entries = Part(Good, 1, 1)
    /\ snapshot = [index |-> 0, term |-> 0, conf |-> 0, confIndex |-> 0]
    /\ arrived = 0
    /\ base = [index |-> 0, term |-> 0]
    /\ commit = 0 /\ applied = 0 /\ promised = 1
    /\ inForce = [conf |-> Good[1].conf, index |-> 1]
    /\ agreed = None

Next ==
    \/ \E from, to \in 1..Len(Good) : AppendGood(from, to)
    \/ \E from, to \in 1..Len(Bad) : AppendBad(from, to)
    \/ \E n \in 1..Len(Good) : LearnCommit(n) \/ Compact(n) \/ Arrive(n)
    \/ Apply \/ TakeSnapshot \/ Install \/ Restart

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------
(* What must hold.                                                         *)

\* What the server's log would be, had nothing been removed from its beginning.
Whole ==
    [i \in 1..LastIndex |-> IF i \in Indexes THEN entries[i] ELSE Good[i]]

NoHole ==
    /\ Indexes # {} =>
        /\ Indexes = (CHOOSE i \in Indexes : \A j \in Indexes : i <= j)..LastIndex
        /\ \A i \in 1..LastIndex : i \in Indexes \/ i <= base.index
    /\ base.index <= LastIndex

CommittedIsGood == \A i \in Indexes : i <= commit => entries[i] = Good[i]

\* The configuration in force is always the newest of the whole log.
ConfigurationInForce == inForce = Newest(Whole, LastIndex, None)

\* And what it falls back to is the newest committed one.
ConfigurationAgreed ==
    inForce.index > Max(commit, 1) =>
        agreed = Newest(Whole, inForce.index - 1, None)

\* What was acknowledged is in the log or in a snapshot, crash or not.
NothingAcknowledgedIsLost ==
    \A i \in 1..promised :
        i <= snapshot.index \/ (i \in Indexes /\ entries[i] = Good[i])

\* A snapshot carries the configuration at its index.
SnapshotConfiguration ==
    snapshot.index > 0 =>
        [conf |-> snapshot.conf, index |-> snapshot.confIndex]
            = ConfigurationOfGood(snapshot.index)
=============================================================================
