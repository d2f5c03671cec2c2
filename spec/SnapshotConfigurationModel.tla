--------------------- MODULE SnapshotConfigurationModel ---------------------
(* The two logs of the model: configurations at 1, 3 and 5, and at 1 and 3.  *)
(* The leader of the second one, in term 2, is sure of the first entry only. *)
EXTENDS SnapshotConfiguration

GoodLog == <<[term |-> 1, conf |-> 1], [term |-> 3, conf |-> 0], [term |-> 3, conf |-> 2],
             [term |-> 3, conf |-> 0], [term |-> 3, conf |-> 3]>>
BadLog == <<[term |-> 1, conf |-> 1], [term |-> 2, conf |-> 0], [term |-> 2, conf |-> 4]>>
Both == {[log |-> GoodLog, sure |-> Len(GoodLog)], [log |-> BadLog, sure |-> 1]}
=============================================================================
