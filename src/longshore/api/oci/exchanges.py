"""An exchange: a request to the registry face, and what became known of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from longshore.api import auditing
from longshore.api.http import BadRequest
from longshore.audit.records import ApiCall
from longshore.identity.creation_on_push import SERVICE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from longshore.api.http import Request
    from longshore.api.oci.repeats import Basis
    from longshore.api.oci.routes import Route
    from longshore.clock import Millis
    from longshore.errors import RegistryError
    from longshore.identity.authorization import Need
    from longshore.identity.creation_on_push import Creation
    from longshore.identity.principals import Principal
    from longshore.names import Registry
    from longshore.registry.pulls import PulledImage

# What a query tells of what is asked for; the rest is about pages.
_TELLING: Final = ("digest", "mount", "from", "artifactType", "tag")


@dataclass
class Exchange:
    """One request and its fate, for whoever keeps a record of it.

    Attributes:
        request: the HTTP request.
        registry: the registry that the host names, or else the default one.
        route: what answers it; None if nothing does.
        name: the repository that it is about, or "".
        argument: the last part of the path, or "".
        needs: the permissions that it needs.
        principal: who sends it; None if nobody is who the request says.
        status: of the answer, if there is one.
        error: why it was refused, None if it wasn't.
        creations: the repositories that came to be by it.
        pulled: the images that the answer hands out.
        credentials: a digest of those that it shows, "" for none.
        basis: what the answer rests on, if it was found in memory alone.
    """

    request: Request
    registry: Registry
    route: Route | None = None
    name: str = ""
    argument: str = ""
    needs: Sequence[Need] = ()
    principal: Principal | None = None
    status: int | None = None
    error: RegistryError | None = None
    creations: list[Creation] = field(default_factory=list)
    pulled: list[PulledImage] = field(default_factory=list)
    credentials: str = ""
    basis: Basis | None = None

    def records(self, at: Millis) -> list[ApiCall]:
        """Return all that the audit tells: which repositories came to be, and then the request."""
        return [*(self._creation(each, at) for each in self.creations), self.record(at)]

    def record(self, at: Millis) -> ApiCall:
        """Return what the audit tells of it, under the name of the operation that it stands for."""
        request = self.request
        return ApiCall(
            service="ecr",
            operation=self.operation,
            region=self.registry.region,
            account=self.registry.account,
            identity=auditing.user_identity(self.principal),
            source_ip=request.client_address,
            user_agent=request.user_agent or "",
            request_id=request.id,
            at=at,
            only_reads=request.only_reads,
            parameters=self._parameters(),
            resources=auditing.resources(self.needs),
            error_code=None if self.error is None else self.error.code,
            error_message=None if self.error is None else self.error.message,
            additional=auditing.explanation(self.error),
        )

    def _creation(self, creation: Creation, at: Millis) -> ApiCall:
        """Tell of a creation as CloudTrail tells of what the registry does by itself."""
        repository, template = creation.repository, creation.template
        creator = (
            {"type": "AWSService"}
            if creation.role is None
            else auditing.user_identity(creation.role)
        )
        pusher = auditing.user_identity(self.principal)
        return ApiCall(
            service="ecr",
            operation="CreateRepository",
            region=repository.registry.region,
            account=repository.registry.account,
            identity={**creator, "invokedBy": SERVICE},
            source_ip=SERVICE,
            user_agent=SERVICE,
            request_id=self.request.id,
            at=at,
            only_reads=False,
            parameters={
                "registryId": repository.registry.account,
                "repositoryName": repository.name,
            },
            resources=[repository.arn],
            additional={
                "pushedBy": pusher.get("arn"),
                **({} if template is None else {"repositoryCreationTemplate": template.prefix}),
            },
        )

    @property
    def puller(self) -> str:
        """The ARN of the user or of the role whose pulls are noted; "" for everybody else."""
        return "" if self.principal is None else self.principal.identity_arn

    @property
    def operation(self) -> str:
        """The operation that it stands for; the records and the metrics have this name."""
        if self.route is None:
            return "Unknown"
        if self.route.action is None:
            return "CheckCredentials"
        # CloudTrail's name for an upload that there is no need for.
        is_mount = self.route.operation == "InitiateLayerUpload" and "mount" in self._query()
        return "MountLayer" if is_mount and self.status == 201 else self.route.operation

    def _parameters(self) -> Mapping[str, Any]:
        if self.route is None:
            return {"method": self.request.method, "path": self.request.path}
        told: dict[str, Any] = {"registryId": self.registry.account}
        if self.name:
            told["repositoryName"] = self.name
        match self.request.path.split("/")[-2:]:
            case ["manifests", _] if ":" in self.argument:
                told["imageDigest"] = self.argument
            case ["manifests", _]:
                told["imageTag"] = self.argument
            case ["referrers", _]:
                told["subjectDigest"] = self.argument
            case ["blobs", _]:
                told["layerDigest"] = self.argument
            case ["uploads", _] if self.argument:
                told["uploadId"] = self.argument
        return {**told, **self._query()}

    def _query(self) -> Mapping[str, Any]:
        if not self.request.raw_query:
            return {}
        try:
            return {name: value for name, value in self.request.query if name in _TELLING}
        except BadRequest:
            return {}
