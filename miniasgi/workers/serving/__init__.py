"""What every worker does, of whatever kind."""
