//! Incidents: findings grouped by cause, causes ranked, red herrings refused.
