"""What is counted while the server runs, and the text that monitoring reads."""
