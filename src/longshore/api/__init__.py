"""The faces: they speak HTTP and translate, and decide nothing."""
