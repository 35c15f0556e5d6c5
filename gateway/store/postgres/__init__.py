"""The record store on PostgreSQL: many processes, a patient's row is the lock (ARCHITECTURE.md)."""
