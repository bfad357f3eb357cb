"""The ECR face: AWS JSON 1.1 at `POST /`."""
