"""The pretend world that simulators share: people with scripts, their phones, CRM records, and faults."""
