"""What happened, as Amazon EventBridge tells it, and who wants to hear of it."""
