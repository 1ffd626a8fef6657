"""What benches have in common: builds, runs, streams with gaps and stalls."""
