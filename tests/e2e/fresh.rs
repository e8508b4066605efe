//! A data folder ready for use: made by the program itself, with the one private Ansible that the tests share.

use std::{os::unix::fs::symlink, path::PathBuf, time::Duration};

use chiffon_tests::{Chiffon, Home, Output, Running};
use serde_json::Value;

pub use crate::ansible::shared_ansible;

/// Longest wait for one command; a real playbook on a busy machine takes a while.
pub const LIMIT: Duration = Duration::from_secs(180);

/// A data folder with a catalogue folder of the test's own beside the shipped one.
pub struct Fresh {
    pub home: Home,
}

impl Fresh {
    pub fn new() -> Self {
        let fresh = Self::bare();
        fresh.link_ansible();
        fresh
    }

    /// Without anything in it, for a test that puts the folder itself somewhere.
    pub fn bare() -> Self {
        Self { home: Home::new() }
    }

    /// Gives it the shared Ansible.
    pub fn link_ansible(&self) {
        let shared = shared_ansible();
        self.home.write("inventory/.keep", "");
        if shared.exists() {
            symlink(shared, self.home.path().join("ansible"))
                .expect("a link to the shared Ansible");
        }
    }

    /// With this inventory beside localhost; lines below `hosts:`, indented by four.
    pub fn with_hosts(hosts: &str) -> Self {
        let fresh = Self::new();
        let text =
            format!("all:\n  hosts:\n    localhost:\n      ansible_connection: local\n{hosts}");
        fresh.home.write_inventory("hosts.yml", &text);
        fresh
    }

    /// Adds an entry of the test's own: tier 2 whatever it says, because it was not shipped.
    pub fn entry(&self, id: &str, metadata: &str, tasks: &str) {
        let play =
            format!("- name: {id}\n  hosts: all\n  gather_facts: false\n  roles:\n    - {id}\n");
        let root = self.own_catalogue();
        for (path, text) in [
            (format!("playbooks/{id}.yml"), play.as_str()),
            (format!("playbooks/{id}.chiffon.yml"), metadata),
            (format!("roles/{id}/tasks/main.yml"), tasks),
            (
                format!("roles/{id}/meta/argument_specs.yml"),
                "argument_specs:\n  main:\n    short_description: A test\n    options: {}\n",
            ),
        ] {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
            std::fs::write(path, text).expect("a file");
        }
        let folder = root.to_str().expect("a path in UTF-8");
        self.home
            .write_config(&format!("catalogue:\n  folders:\n    - {folder}\n"));
    }

    pub fn own_catalogue(&self) -> PathBuf {
        self.home.scratch().join("mine")
    }

    pub fn chiffon(&self) -> Chiffon {
        Chiffon::new(&self.home).limit(LIMIT)
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.chiffon().run(args)
    }
}

/// Metadata of an entry of the test's own.
pub fn metadata(timeout_seconds: u64, on_interrupt: &str) -> String {
    format!(
        "title: A trial\ndescription: Does what the test wants\nexamples: []\ntier: 1\npreview: blind\ntimeout_seconds: {timeout_seconds}\non_interrupt: {on_interrupt}\nrequires_become: false\nresources: {{memory_gb: 0, gpu: false}}\n"
    )
}

/// A document.
pub fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A running `chiffon up`.
pub fn up(fresh: &Fresh) -> Running {
    let mut up = fresh.chiffon().spawn(&["up", "--listen", "127.0.0.1:0"]);
    up.wait_for_line("listen", LIMIT);
    up
}

/// The newest request, in a list.
pub fn newest(fresh: &Fresh) -> Value {
    let list = fresh.run(&["request", "list", "-n", "1", "--json"]);
    json(&list.expect_code(0).stdout)["items"][0].clone()
}

/// The id of a request.
pub fn id_of(request: &Value) -> String {
    request["request_id"].as_str().unwrap().to_owned()
}

/// Asks for a change that then waits for an approval which never comes. The same path everywhere, so that its
/// length moves no column of a snapshot.
pub fn waiting_change(fresh: &Fresh) -> String {
    let change = "write_file path=/tmp/never-written content=hello on localhost";
    fresh.run(&["run", change, "--no-input"]).expect_code(6);
    id_of(&newest(fresh))
}

/// A fleet that is asked to end does, in good order.
#[track_caller]
pub fn ends(mut up: Running) {
    up.interrupt();
    let ended = up.wait(LIMIT);
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
}
