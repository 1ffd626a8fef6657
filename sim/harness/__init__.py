"""Shared plumbing of benches: builds, runs, streams with gaps and stalls."""
