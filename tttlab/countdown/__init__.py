"""The puzzle Countdown: make a target from some numbers, each used once, with + - * and /. Its rules alone."""
