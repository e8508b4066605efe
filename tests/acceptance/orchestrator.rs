//! The orchestrator is a control plane too: with `control.jobs: false` it passes the same suite. It is run as anybody would
//! run it against a control plane of theirs, by its address.

use std::process::{Command, Stdio};

use chiffon_tests::{Chiffon, Home, Running};
use serde_json::Value;

use crate::{
    ansible::shared_ansible,
    target::{LONG, MARKS, URL},
};

const CONFIG: &str = "\
control:
  jobs: false
  may_ask: [person]
  generation_timeout_ms: 3600000
";

/// A running orchestrator.
pub(crate) struct Up {
    pub(crate) home: Home,
    pub(crate) running: Running,
    pub(crate) base: String,
    pub(crate) token: String,
}

/// Starts it with a configuration.
pub(crate) fn up(config: &str) -> Up {
    let home = Home::new();
    home.write_config(config);
    home.write("inventory/.keep", "");
    let shared = shared_ansible();
    std::os::unix::fs::symlink(shared, home.path().join("ansible")).expect("a link can be made");
    let mut running = Chiffon::new(&home).spawn(&["up", "--listen", "127.0.0.1:0"]);
    running.wait_for_line("listen", LONG * 2);
    let about = home.read("up.json").expect("it says where it listens");
    let about: Value = serde_json::from_str(&about).expect("JSON");
    let address = about["address"].as_str().expect("an address");
    let token = home.read("token").expect("it drew a token");
    Up {
        base: format!("http://{address}"),
        token: token.trim().to_owned(),
        running,
        home,
    }
}

#[test]
fn the_orchestrator_passes_the_same_suite() {
    if std::env::var_os(URL).is_some() {
        // This is the suite that is being run.
        return;
    }
    let Up {
        mut running,
        base,
        token,
        ..
    } = up(CONFIG);
    let suite = Command::new(std::env::current_exe().expect("the path of this suite"))
        .args(["section_", "--test-threads=2"])
        .env(URL, base)
        .env("CHIFFON_ARBITER_TOKEN", token)
        .env("CHIFFON_ARBITER_TENANT", "default")
        .env(MARKS, "1")
        // What needs a configuration of its own ran against `arbiter serve`.
        .env_remove("CHIFFON_NOT_RUN")
        .stdin(Stdio::null())
        .output()
        .expect("the suite runs");
    let said = String::from_utf8_lossy(&suite.stdout);
    assert!(suite.status.success(), "{said}\n{}", running.stderr());
    // A filter that fits nothing passes as well.
    let ran = said.matches("... ok").count();
    assert!(ran > 40, "{ran} tests:\n{said}");
    running.terminate();
    running.wait(LONG).expect_code(0);
}
