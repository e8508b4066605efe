//! TLS of the control plane as a client: an external authoriser and a Postgres are believed for their certificates, and
//! for nothing else.

use std::path::Path;

use chiffon_store::{ControlStore, Error, PostgresControl, PostgresOptions};
use chiffon_tests::{Authority, Postgres, TlsFront};
use tokio::task::spawn_blocking;

use crate::{
    authorizer::{Authorizer, Word},
    target::{Target, action_of, fresh},
};

/// What the arbiter does where its authoriser is asked on this port, and whoever this file names is trusted.
async fn asked(port: u16, ca: Option<&Path>) -> Option<(String, String)> {
    let ca = ca.map(|ca| format!(", ca_file: \"{}\"", ca.display()));
    let config = format!(
        "authz: {{mode: external_http, endpoint: \"https://127.0.0.1:{port}/v0/authorize\", timeout_ms: 60000{}}}\n",
        ca.unwrap_or_default()
    );
    let target = Target::own("an authoriser over TLS", &config).await?;
    let plan = target.ask(&fresh("room")).await;
    let (action, reason) = action_of(&plan);
    Some((action.to_owned(), reason.to_owned()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authoriser_is_believed_for_its_certificate() {
    let what = "an authoriser over TLS";
    let Some(ours) = Authority::make_or_report(what) else {
        return;
    };
    let theirs = Authority::make_or_report(what).expect("there was one");
    let authorizer = Authorizer::start(Word::allows());
    let plain = authorizer.port();
    let right = TlsFront::start(&ours.certify("right", "IP:127.0.0.1"), plain);
    let named = TlsFront::start(&ours.certify("named", "DNS:authz.test"), plain);
    let (ours, theirs) = (ours.certificate(), theirs.certificate());
    let Some(said) = asked(right.port, Some(&ours)).await else {
        return;
    };
    assert_eq!(said.0, "request_generation");
    assert_eq!(authorizer.asked().len(), 1);
    for (port, ca) in [
        // Somebody else's word, another name.
        (right.port, Some(theirs.as_path())),
        (named.port, Some(ours.as_path())),
    ] {
        let said = asked(port, ca).await.expect("it is ours");
        assert_eq!(said, ("do_nothing".into(), "authz_unavailable".into()));
    }
    assert_eq!(
        authorizer.asked().len(),
        1,
        "nobody else was told the question"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_is_believed_for_its_certificate() {
    let what = "control store in Postgres: TLS";
    let Some(ours) = Authority::make_or_report(what) else {
        return;
    };
    let theirs = Authority::make_or_report(what).expect("there was one");
    let certified = ours.certify("server", "IP:127.0.0.1");
    let started =
        spawn_blocking(move || Postgres::start_with_tls_or_report(what, &certified)).await;
    let Some(server) = started.expect("the fixture does not panic") else {
        return;
    };
    server.database("spoken");
    let url = server.url_over_tcp("spoken");
    let options = |ca: &Authority, more: &str| PostgresOptions {
        ca_file: Some(ca.certificate()),
        ..PostgresOptions::new(format!("{url}{more}"))
    };
    let over_tls = "SELECT count(*) > 0 FROM pg_stat_ssl WHERE ssl AND pid <> pg_backend_pid()";
    let plain = PostgresControl::connect(&PostgresOptions::new(url.clone())).await;
    let plain = plain.expect("it lets everybody in");
    assert_eq!(
        server.sql("spoken", over_tls),
        "f",
        "nothing was said of TLS"
    );
    drop(plain);
    for more in ["", "?sslmode=require", "?sslmode=verify-full"] {
        let store = PostgresControl::connect(&options(&ours, more)).await;
        let store = store.unwrap_or_else(|error| panic!("{more}: {error}"));
        store.ready().await.expect("it answers");
        assert_eq!(server.sql("spoken", over_tls), "t", "{more}");
    }
    let refused = PostgresControl::connect(&options(&theirs, "")).await;
    let refused = refused.map(drop);
    assert!(
        matches!(&refused, Err(Error::Unavailable(why)) if why.contains("certificate")),
        "{refused:?}"
    );
    let contradicts = PostgresControl::connect(&options(&ours, "?sslmode=disable")).await;
    assert!(matches!(contradicts, Err(Error::Malformed(_))));
    // Only the name is another one.
    let named = PostgresOptions {
        ca_file: Some(ours.certificate()),
        ..PostgresOptions::new(format!(
            "{}?hostaddr=127.0.0.1",
            url.replace("127.0.0.1", "localhost")
        ))
    };
    let refused = PostgresControl::connect(&named).await.map(drop);
    assert!(
        matches!(&refused, Err(Error::Unavailable(why)) if why.contains("certificate")),
        "{refused:?}"
    );
}
