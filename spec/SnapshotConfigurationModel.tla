--------------------- MODULE SnapshotConfigurationModel ---------------------
(* The two logs of the model: configurations at 1, 3 and 5, and at 1 and 3. *)
EXTENDS SnapshotConfiguration

GoodLog == <<[term |-> 1, conf |-> 1], [term |-> 3, conf |-> 0], [term |-> 3, conf |-> 2],
             [term |-> 3, conf |-> 0], [term |-> 3, conf |-> 3]>>
BadLog == <<[term |-> 1, conf |-> 1], [term |-> 2, conf |-> 0], [term |-> 2, conf |-> 4]>>
=============================================================================
