"""What benches expect: results that three computations, independent of each other, agree on."""
