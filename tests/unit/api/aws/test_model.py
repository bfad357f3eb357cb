"""botocore's own `ServiceModel` is the oracle for what we read from its files."""

from __future__ import annotations

import subprocess
import sys

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel as BotocoreModel

from longshore.api.aws.model import ServiceModel

SERVICES = ["ecr", "iam", "sts"]


@pytest.fixture(scope="module", params=SERVICES)
def models(request) -> tuple[ServiceModel, BotocoreModel]:
    description = Loader().load_service_model(request.param, "service-2")
    return ServiceModel.load(request.param), BotocoreModel(description, request.param)


def test_the_operations_are_the_ones_that_botocore_has(models):
    ours, theirs = models
    assert list(ours.operations) == list(theirs.operation_names)
    for name, operation in ours.operations.items():
        oracle = theirs.operation_model(name)
        assert operation.name == oracle.name
        assert operation.input == (oracle.input_shape and oracle.input_shape.name)
        assert operation.output == (oracle.output_shape and oracle.output_shape.name)
        assert operation.error_codes == {shape.name for shape in oracle.error_shapes}


def test_the_shapes_are_the_ones_that_botocore_has(models):
    ours, theirs = models
    assert list(ours.shapes) == list(theirs.shape_names)
    for name, shape in ours.shapes.items():
        oracle = theirs.shape_for(name)
        assert shape.kind == oracle.type_name
        assert shape.minimum == oracle.metadata.get("min")
        assert shape.maximum == oracle.metadata.get("max")
        assert shape.pattern == oracle.metadata.get("pattern")
        assert list(shape.enum) == oracle.metadata.get("enum", [])
        if shape.kind == "structure":
            members = {member: part.name for member, part in oracle.members.items()}
            assert list(shape.members.items()) == list(members.items())
            assert shape.required == set(oracle.required_members)
        elif shape.kind == "list":
            assert shape.element == oracle.member.name
        elif shape.kind == "map":
            assert (shape.key, shape.element) == (oracle.key.name, oracle.value.name)


def test_a_service_that_botocore_does_not_have_is_refused():
    with pytest.raises(FileNotFoundError):
        ServiceModel.load("no-such-service")


def test_lengths_that_the_model_leaves_open_can_be_stated():
    model = ServiceModel.load("ecr")
    stated = model.with_lengths({"TagKey": (1, 128)})
    assert (model.shapes["TagKey"].minimum, model.shapes["TagKey"].maximum) == (None, None)
    assert (stated.shapes["TagKey"].minimum, stated.shapes["TagKey"].maximum) == (1, 128)
    assert stated.shapes["TagValue"] == model.shapes["TagValue"]


def test_loading_a_service_imports_nothing_of_botocore_but_its_name():
    program = """
import sys
from longshore.api.aws.json import JsonService
from longshore.api.aws.wording import ECR
JsonService.load("ecr", ECR)
print(sorted(name for name in sys.modules if name.startswith(("botocore.", "urllib3", "dateutil"))))
"""
    result = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert result.stdout.strip() == "[]"
