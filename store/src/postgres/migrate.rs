//! Brings the tables up to date, one replica at a time.

use deadpool_postgres::Object;
use tokio_postgres::Client;

use crate::Error;

/// Any number, the same in all versions; "chfc" in ASCII.
const LOCK: i64 = 0x6368_6663;

/// Where the library notes what was applied. Not its default, because the database may be of others as well.
const HISTORY: &str = "control_schema_history";

mod embedded {
    //! The numbered SQL files. A new version is a new file in that folder.
    refinery::embed_migrations!("migrations/control-postgres");
}

/// Migrates over this connection, which ends with it, and with it the lock.
pub(super) async fn run(client: Object) -> Result<(), Error> {
    let mut wrapper = Object::take(client);
    let client: &mut Client = &mut wrapper;
    let encoding: String = client.query_one("SHOW server_encoding", &[]).await?.get(0);
    if encoding != "UTF8" {
        return Err(Error::Corrupt(format!(
            "its encoding is {encoding}, and must be UTF8 (createdb -E UTF8)"
        )));
    }
    let mut runner = embedded::migrations::runner().set_grouped(true);
    runner.set_migration_table_name(HISTORY);
    let versions = runner.get_migrations().iter().map(|one| one.version());
    let known = version(versions.max());
    // No lock where nothing is to be done: a replica must be able to start while another one is being looked at.
    if found(client).await? == known {
        return Ok(());
    }
    client
        .query("SELECT pg_advisory_lock($1)", &[&LOCK])
        .await?;
    let found = found(client).await?;
    if found > known {
        return Err(Error::Newer { found, known });
    }
    runner.run_async(client).await.map(drop).map_err(failed)
}

/// The version of the tables; 0 for none.
async fn found(client: &Client) -> Result<u32, Error> {
    let sql = "SELECT to_regclass($1) IS NOT NULL";
    let there: bool = client.query_one(sql, &[&HISTORY]).await?.get(0);
    if !there {
        return Ok(0);
    }
    let sql = format!("SELECT max(version) FROM {HISTORY}");
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
