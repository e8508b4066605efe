//! The planner: from a sentence to entry, hosts and parameters, without a model.

pub(crate) mod text;
