"""The commands in the log of a Nomad server, by number, and which of their fields are secret.

Those of Nomad 1.6.3. The number is the low seven bits of the first byte; the eighth says that a
server that does not know the command skips it.
"""

from __future__ import annotations

from typing import Final

IGNORABLE: Final = 0x80

_NAMES: Final = (
    *("NodeRegister", "NodeDeregister", "NodeUpdateStatus", "NodeUpdateDrain", "JobRegister"),
    *("JobDeregister", "EvalUpdate", "EvalDelete", "AllocUpdate", "AllocClientUpdate"),
    *("ReconcileJobSummaries", "VaultAccessorRegister", "VaultAccessorDeregister"),
    *("ApplyPlanResults", "DeploymentStatusUpdate", "DeploymentPromote"),
    *("DeploymentAllocHealth", "DeploymentDelete", "JobStability", "ACLPolicyUpsert"),
    *("ACLPolicyDelete", "ACLTokenUpsert", "ACLTokenDelete", "ACLTokenBootstrap", "Autopilot"),
    *("UpsertNodeEvents", "JobBatchDeregister", "AllocUpdateDesiredTransition"),
    *("NodeUpdateEligibility", "BatchNodeUpdateDrain", "SchedulerConfig"),
    *("NodeBatchDeregister", "ClusterMetadata", "ServiceIdentityAccessorRegister"),
    *("ServiceIdentityAccessorDeregister", "CSIVolumeRegister", "CSIVolumeDeregister"),
    *("CSIVolumeClaim", "ScalingEventRegister", "CSIVolumeClaimBatch", "CSIPluginDelete"),
    *("EventSinkUpsert", "EventSinkDelete", "BatchEventSinkUpdateProgress"),
    *("OneTimeTokenUpsert", "OneTimeTokenDelete", "OneTimeTokenExpire"),
    *("ServiceRegistrationUpsert", "ServiceRegistrationDeleteByID"),
    *("ServiceRegistrationDeleteByNodeID", "VarApplyState", "RootKeyMetaUpsert"),
    *("RootKeyMetaDelete", "ACLRolesUpsert", "ACLRolesDeleteByID", "ACLAuthMethodsUpsert"),
    *("ACLAuthMethodsDelete", "ACLBindingRulesUpsert", "ACLBindingRulesDelete"),
    *("NodePoolUpsert", "NodePoolDelete"),
)
_WITHOUT_REQUEST: Final = {"UpsertNodeEvents", "BatchEventSinkUpdateProgress"}

COMMANDS: Final[dict[int, str]] = {
    **{
        number: name + ("Type" if name in _WITHOUT_REQUEST else "RequestType")
        for number, name in enumerate(_NAMES)
    },
    64: "NamespaceUpsertRequestType",
    65: "NamespaceDeleteRequestType",
}
"""Names as Nomad's own command prints them."""

SECRET_FIELDS: Final = frozenset(
    {
        *("AuthToken", "SecretID", "BootstrapSecret", "OneTimeSecretID", "EvalToken", "LeaderACL"),
        *("SignedIdentities", "VaultToken", "ConsulToken", "Payload", "Env"),
        *("Submission", "Secrets", "OIDCClientSecret", "ClientSecret", "Templates"),
        *("GetterOptions", "GetterHeaders"),
    }
)
"""Fields that may hold a secret, wherever they occur."""

SECRET_OF: Final[dict[int, frozenset[str]]] = {
    number: frozenset({"Accessors"}) for number in (11, 12, 33, 34)
}
"""Fields that are secret in one command."""


def command_name(number: int) -> str:
    """The name of a command; of an unknown one its number."""
    return COMMANDS.get(number, f"Unknown({number})")
