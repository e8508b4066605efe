//! Brings the tables up to date, one replica at a time, and refuses what is not ours.

use deadpool_postgres::Object;
use refinery::Runner;
use tokio_postgres::Client;

use crate::Error;

/// One store's tables.
pub(super) struct Tables {
    /// The lock of whoever migrates: any number, the same in all versions.
    lock: i64,
    /// Where the library notes what was applied. Not its default, because the database may be of others as well.
    history: &'static str,
    runner: fn() -> Runner,
    /// Whether they must be the only ones where they are put, but for those of the other store.
    alone: bool,
}

/// Those of the control store, which may stand beside others'. The lock is "chfc" in ASCII.
pub(super) const CONTROL: Tables = Tables {
    lock: 0x6368_6663,
    history: "control_schema_history",
    runner: control::migrations::runner,
    alone: false,
};

/// Those of the fleet, whose names are those that anybody would take. The lock is "chff" in ASCII.
pub(super) const FLEET: Tables = Tables {
    lock: 0x6368_6666,
    history: "chiffon_schema_history",
    runner: fleet::migrations::runner,
    alone: true,
};

/// The oldest server whose words all of this is written in.
const OLDEST: i32 = 150_000;

mod control {
    //! The numbered SQL files. A new version is a new file in that folder.
    refinery::embed_migrations!("migrations/control-postgres");
}

mod fleet {
    //! The same for the fleet.
    refinery::embed_migrations!("migrations/fleet-postgres");
}

/// Migrates over this connection, which ends with it, and with it the lock.
pub(super) async fn run(client: Object, tables: Tables) -> Result<(), Error> {
    let mut wrapper = Object::take(client);
    let client: &mut Client = &mut wrapper;
    let encoding: String = client.query_one("SHOW server_encoding", &[]).await?.get(0);
    if encoding != "UTF8" {
        return Err(Error::Corrupt(format!(
            "its encoding is {encoding}, and must be UTF8 (createdb -E UTF8)"
        )));
    }
    let mut runner = (tables.runner)().set_grouped(true);
    runner.set_migration_table_name(tables.history);
    let versions = runner.get_migrations().iter().map(|one| one.version());
    let known = version(versions.max());
    // No lock where nothing is to be done: a replica must be able to start while another one is being looked at.
    if found(client, tables.history).await? == known {
        return Ok(());
    }
    // Longer than others wait for a lock: the one before may have much to do.
    client
        .batch_execute("SET lock_timeout = '25s'; SET statement_timeout = '25s'")
        .await?;
    client
        .query("SELECT pg_advisory_lock($1)", &[&tables.lock])
        .await?;
    let found = found(client, tables.history).await?;
    if found > known {
        return Err(Error::Newer { found, known });
    }
    if found == 0 && tables.alone {
        room_for(client).await?;
    }
    runner.run_async(client).await.map(drop).map_err(failed)
}

/// Refuses an old server, and a place where another program's tables are.
async fn room_for(client: &Client) -> Result<(), Error> {
    let sql = "SELECT current_setting('server_version_num')::int, current_setting('server_version'), current_schema()";
    let row = client.query_one(sql, &[]).await?;
    let (number, version): (i32, String) = (row.get(0), row.get(1));
    if number < OLDEST {
        return Err(Error::Corrupt(format!(
            "its server is Postgres {version}, and must be 15 or later"
        )));
    }
    let Some(schema) = row.get::<_, Option<String>>(2) else {
        return Err(Error::ReadOnly(
            "its user has no schema to put tables into (search_path)".to_owned(),
        ));
    };
    // What an extension brought belongs to nobody; the control store may stand here too.
    let sql = "SELECT c.relname::text FROM pg_class c
               WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
                 AND c.relname NOT LIKE 'control\\_%'
                 AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
               ORDER BY c.relname LIMIT 1";
    match client.query_opt(sql, &[]).await? {
        None => Ok(()),
        Some(row) => Err(Error::Corrupt(format!(
            "its schema {schema} holds tables of another program ({}); make a database for Chiffon alone (createdb -E UTF8 chiffon)",
            row.get::<_, String>(0)
        ))),
    }
}

/// The version of the tables; 0 for none.
async fn found(client: &Client, history: &str) -> Result<u32, Error> {
    let sql = "SELECT to_regclass($1) IS NOT NULL";
    let there: bool = client.query_one(sql, &[&history]).await?.get(0);
    if !there {
        return Ok(0);
    }
    let sql = format!("SELECT max(version) FROM {history}");
    Ok(version(client.query_one(&sql, &[]).await?.get(0)))
}

fn version(number: Option<i32>) -> u32 {
    number.unwrap_or_default().try_into().unwrap_or_default()
}

/// The library wraps the database's error.
fn failed(error: refinery::Error) -> Error {
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    while let Some(one) = cause {
        if let Some(code) = one.downcast_ref::<tokio_postgres::Error>()
            && code
                .code()
                .is_none_or(|code| !code.code().starts_with("42"))
        {
            return Error::Unavailable(format!("tables cannot be brought up to date: {code}"));
        }
        if let Some(found) = one.downcast_ref::<tokio_postgres::error::DbError>() {
            let text = format!("tables cannot be brought up to date: {found}");
            return match found.code().code() {
                "42501" => Error::ReadOnly(text),
                _ => Error::Corrupt(text),
            };
        }
        cause = one.source();
    }
    Error::Corrupt(format!("its tables are not as recorded: {error}"))
}
