//! The inventory: which hosts there are and how they are reached.
