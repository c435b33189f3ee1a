"""What a call is: states, events, outcomes, agents, hours and rules. Pure: no I/O, no clock, no vendor."""
