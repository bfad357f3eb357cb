"""How operations on images refuse."""

from __future__ import annotations

from tests.api.ecr.refusal_cases import (
    ACCOUNT,
    IMAGE,
    INDEX,
    NOTHING,
    OTHER,
    Refusal,
    image_tagged_1,
    immutable_image_tagged_1,
    index_tagged_1,
)
from tests.api.ecr.refusals import constraint

IMAGES = [
    Refusal(
        "PutImage",
        "ImageAlreadyExists",
        f"Image with digest '{IMAGE.digest}' and tag '1' already exists in the repository with "
        f"name '{{name}}' in registry with id '{ACCOUNT}'",
        {"imageManifest": "{image}", "imageTag": "1"},
        image_tagged_1,
    ),
    Refusal(
        "PutImage",
        "ImageAlreadyExists",
        f"Image with digest '{IMAGE.digest}' and tag 'null' already exists in the repository "
        f"with name '{{name}}' in registry with id '{ACCOUNT}'",
        {"imageManifest": "{image}"},
        image_tagged_1,
        why="without a tag",
    ),
    Refusal(
        "PutImage",
        "ImageAlreadyExists",
        f"Image with digest '{IMAGE.digest}' and tag '1' already exists in the repository with "
        f"name '{{name}}' in registry with id '{ACCOUNT}'",
        {"imageManifest": "{image}", "imageTag": "1"},
        immutable_image_tagged_1,
        why="under an immutable tag",
    ),
    Refusal(
        "PutImage",
        "ImageTagAlreadyExists",
        "The image tag '1' already exists in the '{name}' repository and cannot be overwritten "
        "because the tag is immutable.",
        {"imageManifest": "{other}", "imageTag": "1"},
        immutable_image_tagged_1,
    ),
    Refusal(
        "PutImage",
        "ImageDigestDoesNotMatch",
        f"The specified image digest '{NOTHING}' does not match the digest that Amazon ECR "
        f"calculated for the image: '{IMAGE.digest}'",
        {"imageManifest": "{image}", "imageDigest": NOTHING},
    ),
    Refusal(
        "PutImage",
        "LayersNotFound",
        f"Layers with digests '[{', '.join(str(blob.digest) for blob in IMAGE.blobs)}]' required "
        "for pushing image into repository with name '{name}' in the registry with id "
        f"'{ACCOUNT}' do not exist",
        {"imageManifest": "{image}", "imageTag": "1"},
    ),
    Refusal(
        "PutImage",
        "ReferencedImagesNotFound",
        f"Images with digests '[{OTHER.digest}]' required for pushing image into repository with "
        f"name '{{name}}' in the registry with id '{ACCOUNT}' do not exist",
        {"imageManifest": "{index}", "imageTag": "index"},
        image_tagged_1,
    ),
    *(
        Refusal(
            "PutImage",
            "InvalidParameter",
            constraint("ImageManifest", "Invalid JSON syntax"),
            {"imageManifest": manifest, **more},
            why=why,
        )
        for why, manifest, more in (
            ("no JSON", "x", {}),
            ("no media type", "{{}}", {}),
            ("other media type", "{image}", {"imageManifestMediaType": "application/json+x"}),
        )
    ),
    Refusal(
        "PutImage",
        "InvalidParameter",
        constraint("ImageManifest", "Image has to have at least 1 layer"),
        {"imageManifest": "{layerless}"},
        why="no layers",
    ),
    Refusal(
        "PutImage",
        "InvalidParameter",
        constraint(
            "imageTag",
            "Member must satisfy regular expression pattern: [a-zA-Z0-9_][a-zA-Z0-9._-]*",
        ),
        {"imageManifest": "{image}", "imageTag": "-x"},
        why="bad tag",
    ),
    Refusal(
        "PutImage",
        "InvalidParameter",
        constraint("imageTag", "Member must have length less than or equal to 300"),
        {"imageManifest": "{image}", "imageTag": "x" * 301},
        why="long tag",
    ),
    Refusal(
        "PutImage",
        "InvalidParameter",
        constraint("imageDigest", "Digests by sha512 are not supported"),
        {"imageManifest": "{image}", "imageDigest": "sha512:" + "0" * 128},
        why="sha512",
    ),
    Refusal(
        "DescribeImages",
        "ImageNotFound",
        "The image with imageId {{imageDigest:'null', imageTag:'2'}} does not exist within the "
        f"repository with name '{{name}}' in the registry with id '{ACCOUNT}'",
        {"imageIds": [{"imageTag": "1"}, {"imageTag": "2"}]},
        image_tagged_1,
    ),
    Refusal(
        "DescribeImages",
        "ImageNotFound",
        f"The image with imageId {{{{imageDigest:'{NOTHING}', imageTag:'null'}}}} does not exist "
        f"within the repository with name '{{name}}' in the registry with id '{ACCOUNT}'",
        {"imageIds": [{"imageDigest": NOTHING}]},
        image_tagged_1,
        why="by digest",
    ),
    Refusal(
        "DescribeImages",
        "ImageNotFound",
        f"The image with imageId {{{{imageDigest:'{NOTHING}', imageTag:'1'}}}} does not exist "
        f"within the repository with name '{{name}}' in the registry with id '{ACCOUNT}'",
        {"imageIds": [{"imageDigest": NOTHING, "imageTag": "1"}]},
        image_tagged_1,
        why="by a digest that isn't the tag's",
    ),
    Refusal(
        "DescribeImages",
        "InvalidParameter",
        constraint(
            "imageDigest", "must satisfy regular expression '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'"
        ),
        {"imageIds": [{"imageDigest": "sha256"}]},
        why="bad digest",
    ),
    Refusal(
        "DescribeImages",
        "InvalidParameter",
        constraint("imageTag", "must satisfy regular expression '[a-zA-Z0-9_][a-zA-Z0-9._-]*'"),
        {"imageIds": [{"imageTag": "-x"}]},
        why="bad tag",
    ),
    *(
        Refusal(
            operation,
            "InvalidParameter",
            constraint("imageIds", f"Member must have length {bound}"),
            {"imageIds": [{"imageTag": "1"}] * count},
            why=f"{count} ids",
        )
        for operation in ("BatchGetImage", "BatchDeleteImage", "DescribeImages")
        for count, bound in (
            (0, "greater than or equal to 1"),
            (101, "less than or equal to 100"),
        )
    ),
    Refusal(
        "ListImageReferrers",
        "InvalidParameter",
        constraint("subjectId.imageDigest", "Digests by sha512 are not supported"),
        {"subjectId": {"imageDigest": "sha512:" + "0" * 128}},
        why="sha512",
    ),
    *(
        Refusal(
            "UpdateImageStorageClass",
            "ImageNotFound",
            f"The image with imageId {{{{imageDigest:'{digest or 'null'}', "
            f"imageTag:'{tag or 'null'}'}}}} does not exist within the repository with name "
            f"'{{name}}' in the registry with id '{ACCOUNT}'",
            {
                "imageId": {
                    name: value
                    for name, value in (("imageDigest", digest), ("imageTag", tag))
                    if value is not None
                },
                "targetStorageClass": target,
            },
            image_tagged_1,
            why=f"{why}, {target}",
        )
        for target in ("ARCHIVE", "STANDARD")
        for digest, tag, why in (
            (None, "2", "by tag"),
            (NOTHING, None, "by digest"),
            (NOTHING, "1", "by a digest that isn't the tag's"),
            (None, None, "by nothing"),
        )
    ),
    *(
        Refusal(
            "UpdateImageStorageClass",
            "InvalidParameter",
            constraint(member, f"must satisfy regular expression '{pattern}'"),
            {"imageId": {member: text}, "targetStorageClass": "ARCHIVE"},
            why=f"bad {member}",
        )
        for member, text, pattern in (
            ("imageDigest", "sha256", "[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+"),
            ("imageTag", "-x", "[a-zA-Z0-9_][a-zA-Z0-9._-]*"),
        )
    ),
    Refusal(
        "UpdateImageStorageClass",
        "ImageStorageClassUpdateNotSupported",
        f"Requested image referenced by manifest list: [{INDEX.digest}]",
        {"imageId": {"imageDigest": str(IMAGE.digest)}, "targetStorageClass": "ARCHIVE"},
        index_tagged_1,
    ),
]
