-------------------------------- MODULE Trace --------------------------------
(***************************************************************************)
(* Lives of simulated clusters, checked step by step against Membership.   *)
(*                                                                         *)
(* spec_recorder.py (tests) watches the real code in the simulator and     *)
(* writes down, for each step of a server, which action of Membership it   *)
(* should be and what the server's term, vote, role, commit index, log and *)
(* configuration are after it.  A step that is no such action, or that     *)
(* ends elsewhere, leaves no next state: TLC reports a deadlock, and the   *)
(* last state shows by `trace` and `at` which step it was.                 *)
(*                                                                         *)
(* Time is not compared: pre-votes, promises and leases are no steps here. *)
(***************************************************************************)
EXTENDS Membership

\* Sequence of [voters, others, steps]: the founding members, and what followed.
\* Not a constant of the .cfg file, which TLC would work out anew at each use.
CONSTANT Lives

VARIABLES trace, at

Steps == Lives[trace].steps

\* A step: what it is, whose, its arguments, and what is there after it.
What(e) == e[1]
Who(e) == e[2]
TermArgument(e) == e[3]
By(e) == e[4]
UpTo(e) == e[5]
Known(e) == e[6]
After(e) == [term |-> e[7], vote |-> e[8], role |-> e[9], commit |-> e[10],
             keep |-> e[11], add |-> e[12]]
\* <<voters, others>> of the configuration in force; <<>> between two actions that
\* are one step of the code.
ConfigurationAfter(e) == e[13]

\* In the trace an entry is <<term, voters, others>>, or <<term>> without a configuration.
EntryOf(x) == IF Len(x) = 1 THEN Entry(x[1], NoConfiguration)
              ELSE Entry(x[1], Configuration(x[2], x[3]))
EntriesOf(l) == [i \in 1..Len(l) |-> EntryOf(l[i])]

Action(e) ==
    LET s == Who(e)
    IN  CASE What(e) = "campaign" -> Campaign(s)
          [] What(e) = "vote" ->
                \E b \in asked : b.term = TermArgument(e) /\ b.by = By(e) /\ Vote(s, b)
          [] What(e) = "lead" -> Lead(s)
          [] What(e) = "hear" -> HearTerm(s, TermArgument(e))
          [] What(e) = "step down" -> StepDown(s)
          [] What(e) = "propose" -> Propose(s)
          [] What(e) = "change" ->
                Change(s, EntryOf(After(e).add[1]).conf)
          [] What(e) = "accept" -> Accept(s, TermArgument(e), UpTo(e), Known(e))
          [] What(e) = "commit" -> Commit(s, UpTo(e))
          [] What(e) = "sync" -> Sync(s)
          [] What(e) = "restart" -> Restart(s)
          [] What(e) = "restart from snapshot" ->
                \E t \in Led : said[t].commit >= UpTo(e) /\ RestartFromSnapshot(s, t, UpTo(e))

Agrees(e) ==
    LET s == Who(e)
        a == After(e)
    IN  /\ mem'[s].term = a.term
        /\ mem'[s].vote = a.vote
        /\ role'[s] = a.role
        /\ commit'[s] = a.commit
        /\ mem'[s].log = Prefix(mem[s].log, a.keep) \o EntriesOf(a.add)
        /\ ConfigurationAfter(e) # <<>> =>
               ConfigurationAt(mem'[s].log, ConfigurationIndex(mem'[s].log))
                   = Configuration(ConfigurationAfter(e)[1], ConfigurationAfter(e)[2])

TraceInit ==
    /\ trace \in 1..Len(Lives)
    /\ at = 1
    /\ LET founders == Lives[trace].voters \cup Lives[trace].others
           first == Entry(1, Configuration(Lives[trace].voters, Lives[trace].others))
       IN  mem = [s \in Server |->
                    IF s \in founders THEN [Empty EXCEPT !.term = 1, !.log = <<first>>]
                    ELSE Empty]
    /\ disk = mem
    /\ queue = [s \in Server |-> <<>>]
    /\ role = [s \in Server |-> "follower"]
    /\ commit = [s \in Server |-> 0]
    /\ asked = {}
    /\ votes = {}
    /\ said = [t \in 1..MaxTerm |-> [leaders |-> {}, log |-> <<>>, commit |-> 0]]
    /\ acked = [t \in 1..MaxTerm |-> [s \in Server |-> 0]]

TraceNext ==
    \/ /\ at <= Len(Steps)
       /\ Action(Steps[at])
       /\ Agrees(Steps[at])
       /\ at' = at + 1
       /\ UNCHANGED trace
    \/ /\ at > Len(Steps)
       /\ UNCHANGED <<vars, trace, at>>

\* What leaders said is kept, so a look at the end sees what was ever wrong with
\* it; to look after each step would take most of the time.
RightAtTheEnd ==
    at > Len(Steps) =>
        /\ ElectionSafety
        /\ LeaderCompleteness
        /\ StateMachineSafety
        /\ CommittedIsHere
        /\ AtMostOneUncommittedConfiguration
=============================================================================
