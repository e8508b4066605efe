//! The desktop agent's worker: the state of the host it runs on. Host actions come later; until then
//! every run is refused. Everything that agents share is left to `chiffon-agent`.

mod disks;
mod host;
mod worker;

pub use worker::DesktopWorker;
