//! Skeleton: filled by the first commits.
