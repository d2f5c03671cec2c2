----------------------------- MODULE Membership -----------------------------
(***************************************************************************)
(* Logs, votes and membership: the rules of src/quorate/raft in election,  *)
(* receiver, leader, membership and handover, without time.                *)
(*                                                                         *)
(* In force at a server is the newest configuration of its log, committed  *)
(* or not; a change differs from it in one server, is written only when    *)
(* the one before is committed, and not before an entry of the leader's    *)
(* own term is.  A configuration that is truncated away is out of force.   *)
(*                                                                         *)
(* There are no messages.  What was ever said and may arrive late, or      *)
(* twice, or never, is kept for good: `asked` and `votes` are all requests *)
(* for votes and all votes, `said` holds for each term the longest log and *)
(* the highest commit index of its leader, `acked` what each server stores *)
(* of it.  Receiving is a step of the receiver that looks at these.        *)
(* Nothing gets there before it is durable at its author, except a         *)
(* leader's entries, which travel while its own disk works.                *)
(*                                                                         *)
(* Left out: how a leader finds where the logs meet (Accept takes a prefix *)
(* of the leader's log, of any length), and the commands' bytes.           *)
(* Time, pre-vote and leases are in Lease.tla; snapshots and the disk's    *)
(* two halves in SnapshotConfiguration.tla.                                *)
(***************************************************************************)
EXTENDS Naturals, Sequences, FiniteSets, TLC

CONSTANTS
    Server,     \* everybody who may ever be a member
    Founders,   \* the voters of the first entry
    Nobody,     \* stands for "no vote given"
    MaxTerm,    \* bounds of a model, see Small
    MaxLog,
    DiskLags,   \* TRUE: writes wait in a queue; FALSE: each step ends durable
    Broken      \* names of rules that this model leaves out, to see what they are for

VARIABLES
    mem,        \* server -> [term, vote, log] as it decides by them
    disk,       \* server -> the same, as a crash would leave them
    queue,      \* server -> states on their way to the disk, oldest first
    role,       \* server -> "follower", "candidate" or "leader"
    commit,     \* server -> highest index it knows to be committed
    asked,      \* set of [term, by, index, last]: requests for votes
    votes,      \* set of <<term, voter, candidate>>
    said,       \* term -> [leaders, log, commit]: what its leader told
    acked       \* term -> server -> up to where it durably holds that leader's log

vars == <<mem, disk, queue, role, commit, asked, votes, said, acked>>

Rule(name) == name \notin Broken

Max(a, b) == IF a > b THEN a ELSE b
Min(a, b) == IF a < b THEN a ELSE b

-----------------------------------------------------------------------------
(* Configurations and logs.                                                *)

\* An entry carries a configuration, or one without voters, which is none.
NoConfiguration == [voters |-> {}, others |-> {}]
Configuration(voters, others) == [voters |-> voters, others |-> others]
Entry(term, configuration) == [term |-> term, conf |-> configuration]

Members(c) == c.voters \cup c.others

Majority(part, whole) == 2 * Cardinality(part \cap whole) > Cardinality(whole)
\* A majority of the voters; what other members say is not counted.
Enough(part, c) ==
    IF Rule("voters count")
    THEN Majority(part, c.voters)
    ELSE 2 * Cardinality(part) > Cardinality(c.voters)

\* All legal successors: one server is added, removed, promoted or demoted.
Successors(c) ==
    {n \in ({Configuration(c.voters \cup {s}, c.others \ {s}) : s \in Server}
            \cup {Configuration(c.voters, c.others \cup {s}) : s \in Server \ c.voters}
            \cup {Configuration(c.voters \ {s}, c.others \cup {s}) : s \in c.voters}
            \cup {Configuration(c.voters \ {s}, c.others \ {s}) : s \in Members(c)}) :
        n.voters # {}}

\* Index of the newest configuration up to index n, 0 if there is none.
RECURSIVE NewestUpTo(_, _)
NewestUpTo(l, n) ==
    IF n = 0 THEN 0
    ELSE IF l[n].conf.voters # {} THEN n ELSE NewestUpTo(l, n - 1)

ConfigurationIndex(l) == NewestUpTo(l, Len(l))
ConfigurationAt(l, i) == IF i = 0 THEN NoConfiguration ELSE l[i].conf

\* The one before the newest.
PreviousConfiguration(l) ==
    LET newest == ConfigurationIndex(l)
    IN  IF newest = 0 THEN NoConfiguration
        ELSE ConfigurationAt(l, NewestUpTo(l, newest - 1))

Prefix(l, n) == SubSeq(l, 1, n)
LastTerm(l) == IF l = <<>> THEN 0 ELSE l[Len(l)].term

\* How far two logs are the same.
RECURSIVE AgreeFrom(_, _, _)
AgreeFrom(a, b, n) ==
    IF n > Len(a) \/ n > Len(b) THEN n - 1
    ELSE IF a[n] # b[n] THEN n - 1 ELSE AgreeFrom(a, b, n + 1)
Agree(a, b) == AgreeFrom(a, b, 1)

InForce(s) == ConfigurationAt(mem[s].log, ConfigurationIndex(mem[s].log))

-----------------------------------------------------------------------------
(* A step of one server: its new state, role and commit index, and what it *)
(* says as leader.  The disk follows, and with it what others can know.    *)

\* `d` is on the disk of s now: a vote may be counted, entries too.
Learn(s, d, told) ==
    /\ votes' = IF d.vote = Nobody THEN votes ELSE votes \cup {<<d.term, s, d.vote>>}
    /\ asked' =
        IF d.vote = s /\ <<d.term, s, s>> \notin votes
        THEN asked \cup {[term |-> d.term, by |-> s,
                          index |-> Len(d.log), last |-> LastTerm(d.log)]}
        ELSE asked
    /\ acked' =
        IF d.term > 0 /\ told[d.term].log # <<>>
        THEN [acked EXCEPT ![d.term][s] = Max(@, Agree(d.log, told[d.term].log))]
        ELSE acked

Step(s, m, newRole, newCommit, told) ==
    /\ mem' = [mem EXCEPT ![s] = m]
    /\ role' = [role EXCEPT ![s] = newRole]
    /\ commit' = [commit EXCEPT ![s] = newCommit]
    /\ said' = told
    /\ IF m = mem[s]
       THEN UNCHANGED <<disk, queue, asked, votes, acked>>
       ELSE IF DiskLags
       THEN /\ queue' = [queue EXCEPT ![s] = Append(@, m)]
            /\ UNCHANGED <<disk, asked, votes, acked>>
       ELSE /\ disk' = [disk EXCEPT ![s] = m]
            /\ Learn(s, m, told)
            /\ UNCHANGED queue

\* The oldest write that waits is done.
Sync(s) ==
    /\ queue[s] # <<>>
    /\ disk' = [disk EXCEPT ![s] = Head(queue[s])]
    /\ queue' = [queue EXCEPT ![s] = Tail(@)]
    /\ Learn(s, Head(queue[s]), said)
    /\ UNCHANGED <<mem, role, commit, said>>

\* The power went: what waited is lost, and what is committed must be learnt again.
Restart(s) ==
    /\ mem' = [mem EXCEPT ![s] = disk[s]]
    /\ queue' = [queue EXCEPT ![s] = <<>>]
    /\ role' = [role EXCEPT ![s] = "follower"]
    /\ commit' = [commit EXCEPT ![s] = 0]
    /\ UNCHANGED <<disk, asked, votes, said, acked>>

\* The same where the disk has a snapshot up to index n of what some leader
\* committed: a log that does not reach it, or contradicts it, gives way to it.
RestartFromSnapshot(s, t, n) ==
    LET contained == Prefix(said[t].log, n)
        l == IF Agree(disk[s].log, contained) = n THEN disk[s].log ELSE contained
        d == [disk[s] EXCEPT !.log = l]
    IN  /\ n <= said[t].commit
        /\ mem' = [mem EXCEPT ![s] = d]
        /\ disk' = [disk EXCEPT ![s] = d]
        /\ queue' = [queue EXCEPT ![s] = <<>>]
        /\ role' = [role EXCEPT ![s] = "follower"]
        /\ commit' = [commit EXCEPT ![s] = n]
        /\ Learn(s, d, said)
        /\ UNCHANGED said

-----------------------------------------------------------------------------
(* Elections.                                                              *)

\* Voters, and one whose vote only an uncommitted entry takes away: its log
\* may be the only one that is fit to lead (thesis 4.2.2).
MayCampaign(s) ==
    \/ s \in InForce(s).voters
    \/ /\ ConfigurationIndex(mem[s].log) > commit[s]
       /\ s \in PreviousConfiguration(mem[s].log).voters

Campaign(s) ==
    /\ role[s] # "leader"
    /\ MayCampaign(s)
    /\ mem[s].term < MaxTerm
    /\ Step(s, [mem[s] EXCEPT !.term = @ + 1, !.vote = s], "candidate", commit[s], said)

Behind(s, b) ==      \* the log of s is behind that of the candidate
    \/ b.last > LastTerm(mem[s].log)
    \/ b.last = LastTerm(mem[s].log) /\ b.index > Len(mem[s].log)
Level(s, b) == b.last = LastTerm(mem[s].log) /\ b.index = Len(mem[s].log)

\* A sender that has no vote as far as both logs can tell is not heard.
InPlace(s, b) ==
    \/ InForce(s).voters = {}
    \/ b.by \in InForce(s).voters
    \/ Behind(s, b)

Vote(s, b) ==
    /\ b.by # s
    /\ b.term >= mem[s].term
    /\ b.term = mem[s].term => mem[s].vote = Nobody \/ ~Rule("one vote")
    /\ InPlace(s, b)
    /\ Behind(s, b) \/ Level(s, b) \/ ~Rule("log not behind")
    /\ Step(s, [mem[s] EXCEPT !.term = b.term, !.vote = b.by], "follower", commit[s], said)

\* Votes count if they are those of voters; a candidate without a vote of its
\* own does not count itself.  A no-op is the first thing it writes.
Lead(s) ==
    LET t == mem[s].term
        given == {v \in Server : <<t, v, s>> \in votes}
        longer == Append(mem[s].log, Entry(t, NoConfiguration))
    IN  /\ role[s] = "candidate"
        /\ Enough(given, InForce(s))
        /\ Step(s, [mem[s] EXCEPT !.log = longer], "leader", commit[s],
                [said EXCEPT ![t] = [leaders |-> @.leaders \cup {s}, log |-> longer,
                                     commit |-> commit[s]]])

\* Somebody answered, or asked in vain, in a higher term, perhaps some time ago.
HearTerm(s, t) ==
    /\ t > mem[s].term
    /\ \E r \in Server : mem[r].term >= t
    /\ Step(s, [mem[s] EXCEPT !.term = t, !.vote = Nobody], "follower", commit[s], said)

\* For want of answers, with a disk that stands still, or after its removal.
StepDown(s) ==
    /\ role[s] # "follower"
    /\ Step(s, mem[s], "follower", commit[s], said)

-----------------------------------------------------------------------------
(* Replication.                                                            *)

Write(s, entry) ==
    LET t == mem[s].term
        longer == Append(mem[s].log, entry)
    IN  /\ role[s] = "leader"
        /\ Step(s, [mem[s] EXCEPT !.log = longer], "leader", commit[s],
                [said EXCEPT ![t].log = longer])

Propose(s) == Write(s, Entry(mem[s].term, NoConfiguration))

Change(s, c) ==
    LET l == mem[s].log
    IN  /\ Rule("own entry first") =>
               commit[s] > 0 /\ l[commit[s]].term = mem[s].term
        /\ Rule("one at a time") => ConfigurationIndex(l) <= commit[s]
        /\ c \in Successors(InForce(s))
        /\ Write(s, Entry(mem[s].term, c))

\* The leader of term t, now or long ago, sent its log up to index n, as
\* entries or as a snapshot, and that k is committed.
Accept(s, t, n, k) ==
    LET l == mem[s].log
        sent == Prefix(said[t].log, n)
        stored == IF Agree(l, sent) = n THEN l ELSE sent
        vote == IF t > mem[s].term THEN Nobody ELSE mem[s].vote
    IN  /\ t >= mem[s].term
        /\ t = mem[s].term => role[s] # "leader"
        /\ n <= Len(said[t].log)
        /\ k <= Min(n, said[t].commit)
        /\ Step(s, [term |-> t, vote |-> vote, log |-> stored], "follower",
                Max(commit[s], k), said)

\* A majority of the voters in force stores index n durably.
Commit(s, n) ==
    LET t == mem[s].term
        holders == {v \in Server : acked[t][v] >= n}
    IN  /\ role[s] = "leader"
        /\ n > commit[s] /\ n <= Len(mem[s].log)
        /\ Rule("own term only") => mem[s].log[n].term = t
        /\ Enough(holders, InForce(s))
        /\ Step(s, mem[s], "leader", n, [said EXCEPT ![t].commit = n])

-----------------------------------------------------------------------------
Empty == [term |-> 0, vote |-> Nobody, log |-> <<>>]
Founded == [term |-> 1, vote |-> Nobody,
            log |-> <<Entry(1, Configuration(Founders, {}))>>]

Start == [s \in Server |-> IF s \in Founders THEN Founded ELSE Empty]

Init ==
    /\ mem = Start
    /\ disk = Start
    /\ queue = [s \in Server |-> <<>>]
    /\ role = [s \in Server |-> "follower"]
    /\ commit = [s \in Server |-> 0]
    /\ asked = {}
    /\ votes = {}
    /\ said = [t \in 1..MaxTerm |-> [leaders |-> {}, log |-> <<>>, commit |-> 0]]
    /\ acked = [t \in 1..MaxTerm |-> [s \in Server |-> 0]]

Led == {t \in 1..MaxTerm : said[t].log # <<>>}

Next ==
    \E s \in Server :
        \/ Campaign(s)
        \/ \E b \in asked : Vote(s, b)
        \/ Lead(s)
        \/ \E t \in 1..MaxTerm : HearTerm(s, t)
        \/ StepDown(s)
        \/ Propose(s)
        \/ \E c \in Successors(InForce(s)) \ {InForce(s)} : Change(s, c)
        \/ \E t \in Led : \E n \in 1..Len(said[t].log) :
               Accept(s, t, n, Min(n, said[t].commit))
        \/ \E n \in 1..Len(mem[s].log) : Commit(s, n)
        \/ Sync(s)
        \/ Restart(s)

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------
(* What must hold.                                                         *)

ElectionSafety == \A t \in 1..MaxTerm : Cardinality(said[t].leaders) <= 1

LogMatching ==
    \A s, r \in Server :
        LET a == mem[s].log
            b == mem[r].log
        IN  \A i \in 1..Min(Len(a), Len(b)) :
                a[i].term = b[i].term => Agree(a, b) >= i

LeaderCompleteness ==
    \A t, u \in Led :
        t < u => Agree(said[t].log, said[u].log) >= said[t].commit

StateMachineSafety ==
    \A s, r \in Server :
        Agree(mem[s].log, mem[r].log) >= Min(commit[s], commit[r])

CommittedIsHere == \A s \in Server : commit[s] <= Len(mem[s].log)

\* Some leader has committed index i of log l, or it is the founding entry.
IsCommitted(l, i) ==
    i = 1 \/ \E t \in Led : said[t].commit >= i /\ Agree(said[t].log, l) >= i

\* The code falls back to the configuration before the newest when that one is
\* truncated, and takes it for committed without asking.
AtMostOneUncommittedConfiguration ==
    \A s \in Server :
        LET l == mem[s].log
        IN  \A i \in 1..Len(l) :
                (l[i].conf.voters # {} /\ i < ConfigurationIndex(l)) => IsCommitted(l, i)

-----------------------------------------------------------------------------
(* For the models.                                                         *)

Small == \A s \in Server : Len(mem[s].log) <= MaxLog

\* Next without what only repeats itself in a small model: commands (no-ops are
\* entries as well), crashes (where each step ends durable they only make a
\* server forget what is committed), and terms heard without a vote or an entry.
Steady ==
    \E s \in Server :
        \/ Campaign(s)
        \/ \E b \in asked : Vote(s, b)
        \/ Lead(s)
        \/ StepDown(s)
        \/ \E c \in Successors(InForce(s)) \ {InForce(s)} : Change(s, c)
        \/ \E t \in Led : \E n \in 1..Len(said[t].log) :
               Accept(s, t, n, Min(n, said[t].commit))
        \/ \E n \in 1..Len(mem[s].log) : Commit(s, n)

\* The same with a membership that never changes.
Fixed ==
    \E s \in Server :
        \/ Campaign(s)
        \/ \E b \in asked : Vote(s, b)
        \/ Lead(s)
        \/ StepDown(s)
        \/ \E t \in Led : \E n \in 1..Len(said[t].log) :
               Accept(s, t, n, Min(n, said[t].commit))
        \/ \E n \in 1..Len(mem[s].log) : Commit(s, n)

\* Two states that differ only in evidence which nobody will look at again are
\* one: votes for who is no candidate of that term any more, requests that all
\* have outgrown, what is stored of the log of a leader that is none any more.
Relevant ==
    << mem, disk, queue, role, commit, said,
       {v \in votes : mem[v[3]].term = v[1] /\ role[v[3]] = "candidate"},
       {b \in asked : \E s \in Server :
            \/ mem[s].term < b.term
            \/ (mem[s].term = b.term /\ mem[s].vote = Nobody)},
       [t \in 1..MaxTerm |->
           IF \E s \in Server : role[s] = "leader" /\ mem[s].term = t
           THEN acked[t] ELSE <<>>] >>

Symmetry == Permutations(Founders) \cup Permutations(Server \ Founders)
=============================================================================
