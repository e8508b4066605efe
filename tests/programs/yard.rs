//! A broker, a database, and data folders for the programs.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chiffon_tests::{Chiffon, Home, Login, Postgres, Rabbit, Running, wait_for};
use serde_json::Value;

use crate::ansible::shared_ansible;

/// Much longer than anything here takes on a busy machine.
pub const LONG: Duration = Duration::from_secs(180);

/// Who logs in at the broker, with the permissions of docs/fleet.md (S38).
const LOGINS: [Login; 3] = [
    Login {
        user: "orchestrator",
        configure: r"^(chiffon|orchestrator|agent)\.",
        write: r"^(chiffon|orchestrator|agent)\.",
        read: r"^(chiffon|orchestrator|agent)\.",
    },
    Login {
        user: "infrastructure",
        configure: "^$",
        write: r"^chiffon\.reports$",
        read: r"^agent\.infrastructure$",
    },
    Login {
        user: "desktop.here",
        configure: "^$",
        write: r"^chiffon\.reports$",
        read: r"^agent\.desktop\.here$",
    },
];

/// The vhost of the fleet.
const VHOST: &str = "fleet";

/// Everything that the programs need, and what they leave.
pub struct Yard {
    pub rabbit: Rabbit,
    pub postgres: Postgres,
    /// Of the playbooks of the tests.
    mine: Home,
}

impl Yard {
    /// Starts broker and database, or reports that `what` was not run.
    pub fn start_or_report(what: &str) -> Option<Self> {
        let what = format!("fleet of several programs: {what}");
        let postgres = Postgres::start_or_report(&what)?;
        let rabbit = Rabbit::start_or_report(&what, &[VHOST.to_owned()], &LOGINS)?;
        postgres.database("fleet");
        let yard = Self {
            rabbit,
            postgres,
            mine: Home::new(),
        };
        yard.entry();
        Some(yard)
    }

    /// Where a login finds the broker.
    pub fn url(&self, user: &str) -> String {
        self.rabbit.url(user, VHOST)
    }

    /// The data folder of an orchestrator.
    pub fn orchestrator(&self) -> Home {
        let home = Home::new();
        home.write_inventory(
            "hosts.yml",
            "all:\n  hosts:\n    localhost:\n      ansible_connection: local\n",
        );
        self.configure(&home, "orchestrator", "");
        home
    }

    /// The same, of one that is called so.
    pub fn orchestrator_called(&self, name: &str) -> Home {
        let home = self.orchestrator();
        self.configure(
            &home,
            "orchestrator",
            &format!("orchestrator:\n  name: {name}\n"),
        );
        home
    }

    /// Gives orchestrators one key before they are started: it signs the ledger of all.
    pub fn share_ledger_key(&self, homes: &[Home]) {
        let key = BASE64_STANDARD.encode([7; 32]);
        for home in homes {
            private(&home.write("keys/ledger.key", &format!("{key}\n")));
        }
    }

    /// Writes the configuration of an orchestrator, with these lines after it.
    pub fn configure(&self, home: &Home, user: &str, more: &str) {
        home.write_config(&format!(
            "http:\n  listen: 127.0.0.1:0\ncatalogue:\n  folders:\n    - {}\nstore:\n  url: \"{}\"\nbus:\n  url: {}\n{more}",
            self.mine.scratch().join("mine").display(),
            self.postgres.url("fleet"),
            self.url(user),
        ));
    }

    /// The data folder of an agent that obeys these orchestrators.
    pub fn agent(&self, user: &str, orchestrators: &[&Home]) -> Home {
        let home = Home::new();
        let keys: String = orchestrators.iter().map(|home| key_of(home)).collect();
        home.write("keys/orchestrators.pub", &keys);
        symlink(shared_ansible(), home.path().join("ansible")).expect("a link can be made");
        home.write_config(&format!(
            "bus:\n  url: {}\nagents:\n  heartbeat_seconds: 1\n",
            self.url(user)
        ));
        home
    }

    /// Where the entry `stay` leaves a line for each start.
    pub fn marker(&self) -> PathBuf {
        self.mine.scratch().join("starts")
    }

    /// How often `stay` was started.
    pub fn starts(&self) -> usize {
        let text = fs::read_to_string(self.marker()).unwrap_or_default();
        text.lines().count()
    }

    /// While this file is there, `stay` stays.
    pub fn gate(&self) -> PathBuf {
        self.mine.scratch().join("gate")
    }

    /// A change that says that it begins, and stays as long as it is told to.
    fn entry(&self) {
        let tasks = format!(
            "- name: Start and stay\n  ansible.builtin.shell: |\n    echo started >> {}\n    while [ -e {} ]; do sleep 0.1; done\n  changed_when: true\n",
            self.marker().display(),
            self.gate().display(),
        );
        let specs = "argument_specs:\n  main:\n    short_description: A test\n    options: {}\n";
        let play = "- name: stay\n  hosts: all\n  gather_facts: false\n  roles:\n    - stay\n";
        let metadata = "title: Stay\ndescription: Stays\nexamples: []\ntier: 1\npreview: blind\ntimeout_seconds: 900\non_interrupt: ask\nrequires_become: false\nresources: {memory_gb: 0, gpu: false}\n";
        for (path, text) in [
            ("playbooks/stay.yml", play),
            ("playbooks/stay.chiffon.yml", metadata),
            ("roles/stay/tasks/main.yml", tasks.as_str()),
            ("roles/stay/meta/argument_specs.yml", specs),
        ] {
            let path = self.mine.scratch().join("mine").join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
            fs::write(path, text).expect("a file");
        }
    }
}

/// Leaves a file to its owner alone.
pub fn private(path: &Path) {
    let private = fs::Permissions::from_mode(0o600);
    fs::set_permissions(path, private).expect("it is ours");
}

/// The public key of an orchestrator, drawn before it was ever started.
pub fn key_of(home: &Home) -> String {
    let said = Chiffon::orchestrator(home).run(&["public-key"]);
    said.expect_code(0).stdout
}

/// Starts an orchestrator, which listens then.
pub fn orchestrator(home: &Home) -> Running {
    let mut running = Chiffon::orchestrator(home).spawn(&["run"]);
    running.wait_for_line("the orchestrator listens", LONG);
    running
}

/// Starts the infrastructure agent, which works then.
pub fn infra(home: &Home) -> Running {
    let mut running = Chiffon::agent_infra(home).spawn(&["run"]);
    running.wait_for_line("the agent works", LONG);
    running
}

/// Starts the desktop agent, which works then.
pub fn desktop(home: &Home) -> Running {
    let mut running = Chiffon::agent_desktop(home).spawn(&["run"]);
    running.wait_for_line("the agent works", LONG);
    running
}

/// The command line, which speaks over HTTP to the orchestrator of this data folder.
pub fn chiffon(home: &Home) -> Chiffon {
    Chiffon::new(home).limit(LONG)
}

/// What a command says in JSON.
pub fn json_of(home: &Home, args: &[&str]) -> Value {
    let said = chiffon(home).run(args).expect_code(0).stdout;
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// The newest request.
pub fn newest(home: &Home) -> String {
    let list = json_of(home, &["request", "list", "-n", "1", "--json"]);
    let id = list["items"][0]["request_id"].as_str();
    id.expect("there is one").to_owned()
}

/// Waits until a request is as it should be, and returns it.
#[track_caller]
pub fn wait_until(home: &Home, id: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    wait_for(what, LONG, || {
        let shown = json_of(home, &["request", "show", id, "--json"]);
        is_so(&shown).then_some(shown)
    })
}

/// Waits until so many agents have been heard of.
#[track_caller]
pub fn wait_for_agents(home: &Home, count: usize) {
    wait_for("the agents to be heard of", LONG, || {
        // Whatever its exit code says: it may be asked while something is not well.
        let said = chiffon(home).run(&["status", "--json"]).stdout;
        let status: Value = serde_json::from_str(&said).unwrap_or_default();
        let agents = status["agents"].as_array().map_or(0, Vec::len);
        (agents >= count).then_some(())
    });
}

/// Asked to end, a program does, in good order.
#[track_caller]
pub fn ends(mut running: Running) -> String {
    running.terminate();
    let ended = running.wait(LONG);
    let stderr = ended.stderr.clone();
    ended.expect_code(0);
    stderr
}
