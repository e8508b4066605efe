//! `chiffon version`. Touches no data folder.

use serde::Serialize;

use crate::{exit::Exit, output, terminal::Terminal};

#[derive(Serialize)]
struct Version {
    name: &'static str,
    version: &'static str,
}

/// Tells the version.
pub fn version(terminal: &Terminal) -> Exit {
    let version = Version {
        name: "chiffon",
        version: env!("CARGO_PKG_VERSION"),
    };
    output::one(terminal, &version, || {
        format!("chiffon {}", version.version)
    });
    Exit::Ok
}
