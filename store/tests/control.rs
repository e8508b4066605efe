//! The control stores of this room keep their contract; and what is special to each: bounds in memory, files that
//! survive SIGKILL. Postgres needs a server, so its tests stand with the fixtures in `tests/`.

#![expect(
    clippy::unwrap_used,
    reason = "a test that meets the impossible may panic"
)]

mod in_memory {
    use std::sync::Arc;

    use chiffon_store::{MemoryControl, MemoryLimits};

    chiffon_store::control_conformance!(Arc::new(MemoryControl::new(MemoryLimits::default())));
}

/// With nearly all states put by: what is read and written must not tell where a state lies.
mod in_memory_and_put_by {
    use std::sync::Arc;

    use chiffon_store::{MemoryControl, MemoryLimits};

    fn open() -> Arc<MemoryControl> {
        let limits = MemoryLimits {
            states: 1,
            ..MemoryLimits::default()
        };
        Arc::new(MemoryControl::spilling(limits).expect("it opens"))
    }

    chiffon_store::control_conformance!(open());
}

mod in_a_file {
    use std::sync::Arc;

    use chiffon_store::{ControlStore, Options, SqliteControl};
    use tempfile::TempDir;

    fn open(folder: &TempDir) -> Arc<dyn ControlStore> {
        let path = folder.path().join("control.db");
        Arc::new(SqliteControl::open(&path, Options::default()).expect("it opens"))
    }

    // The folder is a temporary of the whole statement, so it outlives the store.
    chiffon_store::control_conformance!(open(&tempfile::tempdir().unwrap()));
}

#[path = "control/bounds.rs"]
mod bounds;
#[path = "control/files.rs"]
mod files;
