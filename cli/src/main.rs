//! Skeleton: filled by the first commits.

fn main() {}
