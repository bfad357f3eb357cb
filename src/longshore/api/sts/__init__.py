"""The API of STS: who somebody is, and credentials that last a while."""
