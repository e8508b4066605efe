//! Rebuilds the crate when a file joins or leaves the shipped catalogue: the compiler itself sees only
//! changes to files that were embedded before.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=../playbooks");
}
