------------------------ MODULE SnapshotConfiguration ------------------------
(***************************************************************************)
(* One server's log, snapshot and configuration, and a crash at any moment *)
(* (src/quorate/raft: log, receiver, state; docs/architecture.md).         *)
(*                                                                         *)
(* Two halves are on the disk and are not written at once: the newest      *)
(* snapshot, which carries the configuration at its index, and the log,    *)
(* whose oldest entries are removed once a snapshot contains them.  What   *)
(* is decided about the log waits for the disk, and a crash loses what     *)
(* waits.  Out of the two halves the configuration in force must come      *)
(* again.                                                                  *)
(*                                                                         *)
(* `good` is the log that is committed in the end, whoever leads.  What a  *)
(* leader sends need not be a part of it: but up to an index, which is     *)
(* `sure`, the log of that leader is that of all leaders after it (Raft's  *)
(* Leader Completeness).  What comes after may be another leader's, never  *)
(* to be committed.  A server that leads sends to itself.  A configuration *)
(* is written as its number; 0 is none.                                    *)
(***************************************************************************)
EXTENDS Naturals, Sequences, FiniteSets

CONSTANTS
    Leaders,    \* for the models: set of [log, sure]
    Committed,  \* for the models: the log `good`
    Lag,        \* how many writes may wait for the disk; 0: none ever waits
    Broken      \* names of rules that this model leaves out

VARIABLES
    good,       \* sequence of [term, conf]; never changes
    entries,    \* the log in memory: [first, items]
    disk,       \* the log on the disk
    queue,      \* writes on their way there, oldest first: [log, promise]
    snapshot,   \* [index, term, conf, confIndex]: the newest on the disk
    taking,     \* sequence of the same: own snapshots that are being written
    arrived,    \* indexes of received snapshots, on the disk and not yet in force
    base,       \* [index, term]: the snapshot that the log in memory stands on
    commit,
    applied,
    inForce,    \* [conf, index]: the newest configuration
    agreed,     \* the same, of the newest that is known to be committed
    compared,   \* up to here the log was found to be that of a leader who is sure
    promised    \* the highest index that was acknowledged, and is to stay

vars == <<good, entries, disk, queue, snapshot, taking, arrived, base, commit, applied,
          inForce, agreed, compared, promised>>

Rule(name) == name \notin Broken
Max(a, b) == IF a > b THEN a ELSE b
Min(a, b) == IF a < b THEN a ELSE b
Highest(set) == CHOOSE i \in set : \A j \in set : j <= i
Lowest(set) == CHOOSE i \in set : \A j \in set : i <= j

\* A log without its beginning: `items` are at `first` and after.
Log(first, items) == [first |-> IF items = <<>> THEN 1 ELSE first, items |-> items]
Last(l) == l.first + Len(l.items) - 1
Has(l, i) == l.first <= i /\ i <= Last(l)
Item(l, i) == l.items[i - l.first + 1]
After(l, n) ==      \* without index n and what is before it
    IF n < l.first THEN l ELSE Log(n + 1, SubSeq(l.items, n - l.first + 2, Len(l.items)))
Upto(l, n) ==       \* without what is after index n
    IF n >= Last(l) THEN l ELSE Log(l.first, SubSeq(l.items, 1, n - l.first + 1))
Joined(l, k) == IF l.items = <<>> THEN k ELSE Log(l.first, l.items \o k.items)

LastIndex == IF entries.items = <<>> THEN base.index ELSE Last(entries)
\* 0 for an entry that is neither here nor named, and where the log begins.
TermAt(i) ==
    IF Has(entries, i) THEN Item(entries, i).term
    ELSE IF i = base.index THEN base.term ELSE 0

None == [conf |-> 0, index |-> 0]
\* The newest configuration in the log l up to index n, or else `other`.
Newest(l, n, other) ==
    LET found == {i \in l.first..Min(n, Last(l)) : Item(l, i).conf # 0}
    IN  IF found = {} THEN other
        ELSE [conf |-> Item(l, Highest(found)).conf, index |-> Highest(found)]
ConfigurationOfGood(n) == Newest(Log(1, good), n, None)

-----------------------------------------------------------------------------
(* The disk.                                                               *)

\* The log becomes `e`; when that is durable, up to `promise` is acknowledged.
Write(e, promise) ==
    /\ entries' = e
    /\ IF Lag = 0
       THEN /\ disk' = e
            /\ promised' = Max(promised, promise)
            /\ UNCHANGED queue
       ELSE /\ Len(queue) < Lag
            /\ queue' = Append(queue, [log |-> e, promise |-> promise])
            /\ promised' = IF Rule("acknowledged when durable") THEN promised
                           ELSE Max(promised, promise)
            /\ UNCHANGED disk

\* The oldest write that waits is done.
Sync ==
    /\ queue # <<>>
    /\ disk' = Head(queue).log
    /\ queue' = Tail(queue)
    /\ promised' = Max(promised, Head(queue).promise)
    /\ UNCHANGED <<good, entries, snapshot, taking, arrived, base, commit, applied,
                   inForce, agreed, compared>>

-----------------------------------------------------------------------------
(* From leaders.                                                           *)

\* What leaders may say: what they are sure of is good, and whoever leads after
\* one who is sure of something is sure of it as well.
MayCome(prev, term, new, sure) ==
    /\ sure >= compared /\ sure >= promised /\ sure >= snapshot.index
    /\ IF prev = 0 \/ prev > sure THEN TRUE ELSE good[prev].term = term
    /\ \A k \in 1..Len(new) : prev + k <= sure => new[k] = good[prev + k]

\* The logs meet at the entry before; what is in the snapshot need not be asked.
Meets(prev, term) == IF prev <= base.index THEN TRUE ELSE TermAt(prev) = term

\* The entries `new` follow on `prev`, an entry of `term`, in the log of a leader
\* who is sure up to `sure`.  The first that is not here and all after it replace
\* what is here; a configuration in what is removed gives place to the one before
\* it, the committed one.  `waits`: the answer waits for the disk.
Take(prev, term, new, sure, waits) ==
    LET to == prev + Len(new)
        sent == Log(prev + 1, new)
        missing == {i \in (prev + 1)..to : i > base.index /\ TermAt(i) # Item(sent, i).term}
        first == Lowest(missing)
        added == After(sent, first - 1)
        conf == Newest(added, to, None)
        back == IF missing # {} /\ inForce.index >= first THEN agreed ELSE inForce
        same == Max(compared, Min(to, sure))
    IN  /\ MayCome(prev, term, new, sure)
        /\ Meets(prev, term)
        /\ compared' = same
        /\ IF missing = {}
           THEN /\ UNCHANGED <<inForce, agreed>>
                /\ IF waits THEN Write(entries, same)
                   ELSE /\ queue = <<>>
                        /\ promised' = Max(promised, same)
                        /\ UNCHANGED <<entries, disk, queue>>
           ELSE /\ waits
                /\ Write(Joined(Upto(entries, first - 1), added), same)
                /\ IF conf.index = 0
                   THEN /\ inForce' = IF Rule("truncation falls back") THEN back ELSE inForce
                        /\ UNCHANGED agreed
                   ELSE /\ inForce' = conf
                        /\ agreed' = Newest(added, conf.index - 1, back)
        /\ UNCHANGED <<good, snapshot, taking, arrived, base, commit, applied>>

CommitTo(n) ==
    /\ commit' = n
    /\ agreed' = IF inForce.index <= n THEN inForce ELSE agreed

\* What is committed is known only for what was compared with a leader's log.
LearnCommit(n) ==
    /\ n > commit /\ n <= LastIndex /\ n <= compared
    /\ CommitTo(n)
    /\ UNCHANGED <<good, entries, disk, queue, snapshot, taking, arrived, base, applied,
                   inForce, compared, promised>>

Apply(n) ==
    /\ n > applied /\ n <= commit
    /\ applied' = n
    /\ UNCHANGED <<good, entries, disk, queue, snapshot, taking, arrived, base, commit,
                   inForce, agreed, compared, promised>>

-----------------------------------------------------------------------------
(* Snapshots of its own, and compaction.                                   *)

\* What a snapshot of the state as it is now says.
Point ==
    LET c == IF Rule("snapshot carries it") THEN agreed ELSE None
    IN  [index |-> applied, term |-> TermAt(applied), conf |-> c.conf, confIndex |-> c.index]

\* It is begun; the server goes on meanwhile.
BeginSnapshot ==
    /\ applied > base.index
    /\ Rule("snapshot not below its configuration") => agreed.index <= applied
    /\ taking' = Append(taking, Point)
    /\ UNCHANGED <<good, entries, disk, queue, snapshot, arrived, base, commit, applied,
                   inForce, agreed, compared, promised>>

\* It is on the disk.  One that a received snapshot has overtaken is not used.
StoreSnapshot(k) ==
    LET p == taking[k]
    IN  /\ taking' = SubSeq(taking, 1, k - 1) \o SubSeq(taking, k + 1, Len(taking))
        /\ snapshot' = IF p.index > snapshot.index THEN p ELSE snapshot
        /\ base' = IF p.index > base.index THEN [index |-> p.index, term |-> p.term] ELSE base
        /\ UNCHANGED <<good, entries, disk, queue, arrived, commit, applied,
                       inForce, agreed, compared, promised>>

Compact(n) ==
    /\ Has(entries, n)
    /\ n <= IF Rule("compaction below the snapshot") THEN base.index ELSE commit
    /\ Write(After(entries, n), 0)
    /\ UNCHANGED <<good, snapshot, taking, arrived, base, commit, applied,
                   inForce, agreed, compared>>

-----------------------------------------------------------------------------
(* A snapshot from the leader: first the body is stored, then, in another  *)
(* write, it takes the place of the log.                                   *)

SnapshotOfGood(n) ==
    [index |-> n, term |-> good[n].term,
     conf |-> ConfigurationOfGood(n).conf, confIndex |-> ConfigurationOfGood(n).index]

Arrive(n) ==
    /\ arrived' = arrived \cup {n}
    /\ snapshot' = IF n > snapshot.index THEN SnapshotOfGood(n) ELSE snapshot
    /\ UNCHANGED <<good, entries, disk, queue, taking, base, commit, applied,
                   inForce, agreed, compared, promised>>

Install(n) ==
    LET s == SnapshotOfGood(n)
    IN  /\ n \in arrived
        /\ arrived' = arrived \ {n}
        /\ UNCHANGED <<good, snapshot, taking>>
        /\ IF n <= commit
           THEN \* old news
                UNCHANGED <<entries, disk, queue, base, commit, applied, inForce, agreed,
                            compared, promised>>
           ELSE IF TermAt(n) = s.term /\ Rule("keep what follows")
           THEN \* all of it is here as log, and more may have been acknowledged
                /\ CommitTo(n)
                /\ compared' = Max(compared, n)
                /\ UNCHANGED <<entries, disk, queue, base, applied, inForce, promised>>
           ELSE \* the state machine takes its time to do the same
                /\ Write(Log(1, <<>>), n)
                /\ base' = [index |-> n, term |-> s.term]
                /\ commit' = n
                /\ UNCHANGED applied
                /\ inForce' = [conf |-> s.conf, index |-> s.confIndex]
                /\ agreed' = inForce'
                /\ compared' = Max(compared, n)

\* Its leader was replaced while the body came: it is not used.  It stays on the
\* disk, and a start would begin with it.
Ignore(n) ==
    /\ n \in arrived
    /\ arrived' = arrived \ {n}
    /\ UNCHANGED <<good, entries, disk, queue, snapshot, taking, base, commit, applied,
                   inForce, agreed, compared, promised>>

-----------------------------------------------------------------------------
\* A log that ends below the snapshot, or contradicts it, counts as empty.
Superseded ==
    LET n == snapshot.index
    IN  /\ disk.items # <<>>
        /\ Rule("superseded logs are dropped")
        /\ Last(disk) < n \/ (Has(disk, n) /\ Item(disk, n).term # snapshot.term)
Recovered == IF Superseded THEN Log(1, <<>>) ELSE disk

\* A crash and a start from what the disk holds.
Restart ==
    LET n == snapshot.index
        from == [conf |-> snapshot.conf, index |-> snapshot.confIndex]
        above == After(Recovered, n)
        newest == Newest(above, Last(above), from)
    IN  /\ entries' = Recovered
        /\ disk' = IF Lag = 0 THEN Recovered ELSE disk
        /\ queue' = IF Lag > 0 /\ Superseded THEN <<[log |-> Recovered, promise |-> 0]>> ELSE <<>>
        /\ base' = [index |-> n, term |-> snapshot.term]
        /\ commit' = n /\ applied' = n /\ compared' = n
        /\ arrived' = {} /\ taking' = <<>>
        /\ inForce' = newest
        /\ agreed' = IF newest.index > n THEN Newest(above, newest.index - 1, from) ELSE from
        /\ UNCHANGED <<good, snapshot, promised>>

-----------------------------------------------------------------------------
\* A log as it is when a cluster is founded, or that of a server that is to join.
Begin(items) ==
    /\ entries = Log(1, items)
    /\ disk = Log(1, items)
    /\ queue = <<>>
    /\ snapshot = [index |-> 0, term |-> 0, conf |-> 0, confIndex |-> 0]
    /\ taking = <<>> /\ arrived = {}
    /\ base = [index |-> 0, term |-> 0]
    /\ commit = 0 /\ applied = 0 /\ compared = 0
    /\ promised = 0
    /\ inForce = Newest(Log(1, items), 1, None)
    /\ agreed = None

Init ==
    /\ good = Committed
    /\ Begin(SubSeq(Committed, 1, 1))

TermBefore(l, i) == IF i = 1 THEN 0 ELSE l[i - 1].term

\* In a model an own snapshot and a received one are under way at most, and the
\* leader is asked only for what helps.
Next ==
    \/ \E l \in Leaders : \E from, to \in 1..Len(l.log) : \E waits \in BOOLEAN :
           /\ from <= to
           /\ Take(from - 1, TermBefore(l.log, from), SubSeq(l.log, from, to), l.sure, waits)
    \/ \E n \in 1..Len(good) :
           \/ LearnCommit(n) \/ Compact(n) \/ Install(n) \/ Ignore(n)
           \/ (n = applied + 1 \/ n = base.index) /\ Apply(n)
           \/ arrived = {} /\ n > snapshot.index /\ Arrive(n)
    \/ taking = <<>> /\ BeginSnapshot
    \/ \E k \in DOMAIN taking : StoreSnapshot(k)
    \/ Sync \/ Restart

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------
(* What must hold.                                                         *)

\* The newest configuration up to index n of the log, had nothing been removed
\* from its beginning.
NewestOfWhole(n) == Newest(entries, n, Newest(Log(1, good), Min(n, entries.first - 1), None))

\* A log that reaches down to the snapshot n, and up to it.
Sound(log, n) == log.items # <<>> => log.first <= n + 1 /\ Last(log) >= n

NoHole ==
    /\ Sound(entries, base.index)
    /\ Sound(Recovered, snapshot.index)
    /\ base.index <= commit /\ commit <= LastIndex /\ applied <= commit

IsGood(log, i) == Has(log, i) /\ Item(log, i) = good[i]

CommittedIsGood == \A i \in entries.first..Min(commit, Last(entries)) : IsGood(entries, i)

\* The configuration in force is always the newest of the whole log.
ConfigurationInForce ==
    inForce = IF entries.items = <<>> THEN ConfigurationOfGood(LastIndex) ELSE NewestOfWhole(LastIndex)

\* And what it falls back to is the newest committed one.  After a truncation it
\* has fallen back to that one; that it is committed was lost in a crash, and is
\* known again by the next step.
ConfigurationAgreed ==
    inForce.index > Max(commit, 1) =>
        agreed \in {inForce, NewestOfWhole(inForce.index - 1)}

\* What was acknowledged is here, and would be after a crash, in log or snapshot.
NothingAcknowledgedIsLost ==
    LET log == Recovered
    IN  \A i \in 1..promised :
            /\ i <= base.index \/ i <= snapshot.index \/ IsGood(entries, i)
            /\ i <= snapshot.index \/ IsGood(log, i)

\* A snapshot carries the configuration at its index.
SnapshotConfiguration ==
    \A p \in {snapshot} \cup {taking[k] : k \in DOMAIN taking} :
        p.index > 0 => p = SnapshotOfGood(p.index)
=============================================================================
