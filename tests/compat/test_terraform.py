"""Terraform with its AWS provider, as those who keep a registry and its people in files use it."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.compat.support.programs import ProgramFailed, Shell, find_or_skip
from tests.compat.test_boto3 import push
from tests.compat.test_permissions import root_of
from tests.docs import pages

if TYPE_CHECKING:
    from collections.abc import Iterator

    import boto3

    from tests.compat.images import Images
    from tests.compat.support.server import Longshore

pytestmark = pytest.mark.compat

CONFIGURATIONS = Path(__file__).with_name("terraform")
# One that no other test uses: account settings outlive Terraform.
ACCOUNT = "777788889999"
ADMINISTRATION = "arn:aws:iam::aws:policy/AdministratorAccess"
EVERYTHING = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
    }
)
DIFFERENT = "exit code 2"

OVERRIDES = """\
provider_installation {{
  dev_overrides {{
    "hashicorp/aws" = "{directory}"
  }}
  direct {{}}
}}
"""


@dataclass(frozen=True)
class Terraform:
    """Terraform in the directory of one configuration."""

    shell: Shell

    @classmethod
    def of(cls, name: str, server: Longshore, home: Path, session: boto3.Session) -> Terraform:
        """Return Terraform for a copy of the configuration `name`, as whoever has a session."""
        directory = home / name
        shutil.copytree(CONFIGURATIONS / name, directory)
        return cls.at(directory, server, session)

    @classmethod
    def at(cls, directory: Path, server: Longshore, session: boto3.Session) -> Terraform:
        """Return Terraform for the configuration in a directory."""
        overrides = directory / "overrides.tfrc"
        overrides.write_text(OVERRIDES.format(directory=_provider().parent))
        credentials = session.get_credentials()
        assert credentials is not None
        variables = {
            "AWS_ACCESS_KEY_ID": credentials.access_key,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
            "CHECKPOINT_DISABLE": "1",
            "TF_CLI_CONFIG_FILE": str(overrides),
            "TF_VAR_endpoint": f"http://{server.address}",
        }
        return cls(Shell(directory, variables))

    def given(self, **variables: str) -> Terraform:
        """Return the same with more variables of the configuration."""
        named = {f"TF_VAR_{name}": value for name, value in variables.items()}
        return Terraform(self.shell.given(named))

    def apply(self, *arguments: str) -> str:
        """Make everything as the configuration says, and return what Terraform did."""
        printed = self._run("apply", "-auto-approve", *arguments)
        found = re.search(r"Apply complete! Resources: (.+)\.", printed)
        assert found, printed
        return found[1]

    def check_nothing_to_do(self) -> None:
        """See that Terraform finds everything as the configuration says."""
        self._run("plan", "-detailed-exitcode")

    def check_something_to_do(self) -> None:
        with pytest.raises(ProgramFailed, match=DIFFERENT):
            self._run("plan", "-detailed-exitcode")

    def outputs(self) -> dict[str, Any]:
        found = json.loads(self._run("output", "-json"))
        return {name: each["value"] for name, each in found.items()}

    def import_all(self) -> str:
        """Forget what the import blocks name, bring it back by them, and return what was done."""
        blocks = CONFIGURATIONS / "imports.tf"
        self._run("state", "rm", *re.findall(r"to = (\S+)", blocks.read_text()))
        shutil.copy(blocks, self.shell.home)
        return self.apply()

    def destroy(self) -> None:
        self._run("destroy", "-auto-approve")
        assert self._run("state", "list") == ""

    def _run(self, command: str, *arguments: str) -> str:
        color = [] if command == "state" else ["-no-color"]
        return self.shell.run("terraform", command, *arguments[:1], *color, *arguments[1:])


def _provider() -> Path:
    return find_or_skip("terraform-provider-aws", "LONGSHORE_TERRAFORM_PROVIDER")


@pytest.fixture(scope="session", autouse=True)
def provider() -> None:
    """Skip these tests, before any server starts for them, where the provider isn't there."""
    _provider()


@pytest.fixture
def operator(server: Longshore) -> Iterator[boto3.Session]:
    """A user who may do everything in an account of their own."""
    iam = server.client("iam", root_of(server, ACCOUNT))
    iam.create_user(UserName="terraform")
    iam.attach_user_policy(UserName="terraform", PolicyArn=ADMINISTRATION)
    key = iam.create_access_key(UserName="terraform")["AccessKey"]
    yield server.session_of(key["AccessKeyId"], key["SecretAccessKey"])
    iam.detach_user_policy(UserName="terraform", PolicyArn=ADMINISTRATION)
    iam.delete_access_key(UserName="terraform", AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName="terraform")


def change_by_hand(server: Longshore, operator: boto3.Session) -> None:
    """Do what Terraform has to undo."""
    iam, ecr = server.client("iam", operator), server.client("ecr", operator)
    iam.put_user_policy(UserName="ci", PolicyName="more", PolicyDocument=EVERYTHING)
    iam.put_group_policy(GroupName="publishers", PolicyName="more", PolicyDocument=EVERYTHING)
    iam.attach_role_policy(RoleName="deployer", PolicyArn=ADMINISTRATION)
    ecr.delete_repository(repositoryName="plain")
    ecr.put_image_tag_mutability(repositoryName="team/excluded", imageTagMutability="IMMUTABLE")
    ecr.delete_lifecycle_policy(repositoryName="team/app")


def add_what_is_in_the_way(server: Longshore, operator: boto3.Session) -> None:
    """Add what has to go before a user can, and before a role can."""
    iam = server.client("iam", operator)
    iam.create_access_key(UserName="scanner")
    iam.put_user_policy(UserName="scanner", PolicyName="more", PolicyDocument=EVERYTHING)
    iam.attach_user_policy(UserName="scanner", PolicyArn=ADMINISTRATION)
    [role] = [
        each["RoleName"]
        for each in iam.list_roles()["Roles"]
        if each["RoleName"].startswith("auditor-")
    ]
    iam.attach_role_policy(RoleName=role, PolicyArn=ADMINISTRATION)


def left(server: Longshore, operator: boto3.Session) -> list[str]:
    """Name what there is in the account, besides the operator."""
    iam, ecr = server.client("iam", operator), server.client("ecr", operator)
    templates = ecr.describe_repository_creation_templates()["repositoryCreationTemplates"]
    named = [
        *(each["UserName"] for each in iam.list_users()["Users"]),
        *(each["GroupName"] for each in iam.list_groups()["Groups"]),
        *(each["RoleName"] for each in iam.list_roles()["Roles"]),
        *(each["PolicyName"] for each in iam.list_policies(Scope="Local")["Policies"]),
        *(
            each["Arn"]
            for each in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
        ),
        *(each["repositoryName"] for each in ecr.describe_repositories()["repositories"]),
        *(each["prefix"] for each in templates),
        *ecr.list_pull_time_update_exclusions()["pullTimeUpdateExclusions"],
    ]
    with pytest.raises(ecr.exceptions.RegistryPolicyNotFoundException):
        ecr.get_registry_policy()
    return [name for name in named if name != "terraform"]


def test_all_resources_are_made_changed_imported_and_destroyed(
    server: Longshore, operator: boto3.Session, home: Path, images: Images
) -> None:
    terraform = Terraform.of("platform", server, home, operator)
    ecr = server.client("ecr", operator)

    assert terraform.apply() == "40 added, 0 changed, 0 destroyed"
    terraform.check_nothing_to_do()

    push(ecr, "team/app", images.layered, "v1")
    push(ecr, "team/app", images.other, "v2")
    changed = terraform.given(changed="true")
    changed.apply()
    changed.check_nothing_to_do()
    outputs = changed.outputs()
    assert outputs["image_uri"] == f"{outputs['repository_url']}@{images.layered.root()}"
    assert {each["image_tag"] for each in outputs["images"]} == {"v1", "v2"}
    assert set(outputs["repositories"]) == {"plain", "team/app", "team/excluded"}
    assert outputs["users"] == ["annotator", "ci"]
    assert outputs["members"] == ["annotator"]
    assert outputs["may_deploy"] is True

    imported = changed.given(login_policy=outputs["login_policy"], access_key=outputs["key_id"])
    # What is imported of a repository says nothing of force_delete, which is Terraform's own.
    assert imported.import_all() == "27 imported, 0 added, 1 changed, 0 destroyed"
    imported.check_nothing_to_do()

    change_by_hand(server, operator)
    imported.check_something_to_do()
    imported.apply()
    imported.check_nothing_to_do()

    again = imported.given(changed="false")
    again.apply()
    again.check_nothing_to_do()
    add_what_is_in_the_way(server, operator)
    again.destroy()
    assert left(server, operator) == []


def test_a_team_has_a_role(server: Longshore, operator: boto3.Session, home: Path) -> None:
    iam = server.client("iam", operator)
    user = iam.create_user(UserName="member")["User"]
    key = iam.create_access_key(UserName="member")["AccessKey"]
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": user["Arn"]},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
    }
    role = iam.create_role(
        RoleName="team",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )["Role"]
    iam.put_role_policy(RoleName="team", PolicyName="all", PolicyDocument=EVERYTHING)
    member = server.session_of(key["AccessKeyId"], key["SecretAccessKey"])
    terraform = Terraform.of("team", server, home, member).given(role_arn=role["Arn"])

    assert terraform.apply() == "1 added, 0 changed, 0 destroyed"
    terraform.check_nothing_to_do()
    who = f"arn:aws:sts::{ACCOUNT}:assumed-role/team/terraform"
    assert terraform.outputs() == {"who": who, "role": role["Arn"]}

    terraform.destroy()
    iam.delete_role_policy(RoleName="team", PolicyName="all")
    iam.delete_role(RoleName="team")
    iam.delete_access_key(UserName="member", AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName="member")
    assert left(server, operator) == []


def test_a_policy_names_whoever_was_made_anew(
    server: Longshore, operator: boto3.Session, home: Path
) -> None:
    """A user and a role that are replaced have other ids, and Terraform sees that it matters."""
    terraform = Terraform.of("anew", server, home, operator)
    iam = server.client("iam", operator)
    terraform.apply()
    for kind in ("user", "role"):
        terraform.apply(f"-replace=aws_iam_{kind}.guest")
        assert terraform.apply() == "0 added, 3 changed, 0 destroyed"
        terraform.check_nothing_to_do()

    key = iam.create_access_key(UserName="guest")["AccessKey"]
    guest = server.session_of(key["AccessKeyId"], key["SecretAccessKey"])
    server.client("ecr", guest).describe_images(repositoryName="shared")
    credentials = server.client("sts", guest).assume_role(
        RoleArn=f"arn:aws:iam::{ACCOUNT}:role/guest", RoleSessionName="job"
    )["Credentials"]
    role = server.session_of(
        credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"]
    )
    server.client("ecr", role).describe_images(repositoryName="shared")

    iam.delete_access_key(UserName="guest", AccessKeyId=key["AccessKeyId"])
    terraform.destroy()
    assert left(server, operator) == []


def test_the_configuration_of_the_page_works(
    server: Longshore, operator: boto3.Session, home: Path
) -> None:
    example, *_ = pages.blocks(pages.read("docs/terraform.md"), "terraform")
    (home / "main.tf").write_text(example.replace("localhost:5000", server.address))
    terraform = Terraform.at(home, server, operator)

    assert terraform.apply() == "3 added, 0 changed, 0 destroyed"
    terraform.check_nothing_to_do()
    assert terraform.outputs()["repository_url"].endswith("/team/app")
    terraform.destroy()
    assert left(server, operator) == []
