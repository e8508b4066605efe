//! The SQLite backend keeps the contract, in a file and in memory.

mod in_a_file {
    use std::sync::Arc;

    use chiffon_store::{Options, Sqlite, Store};
    use tempfile::TempDir;

    fn open(folder: &TempDir) -> Arc<dyn Store> {
        let path = folder.path().join("chiffon.db");
        Arc::new(Sqlite::open(&path, Options::default()).expect("it opens"))
    }

    // The folder is a temporary of the whole statement, so it outlives the store.
    chiffon_store::store_conformance!(open(&tempfile::tempdir().unwrap()));
}

mod in_memory {
    use std::sync::Arc;

    use chiffon_store::Sqlite;

    chiffon_store::store_conformance!(Arc::new(Sqlite::in_memory().unwrap()));
}
